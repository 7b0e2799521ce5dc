#include "arena/named.hpp"
#include "arena/pipe_end.hpp"
#include "arena/space_impl.hpp"
#include "process/child.hpp"
#include "process/lifeline.hpp"
#include "process/self.hpp"

#include <multifork/process/process.hpp>

#include <cxxabi.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <typeinfo>
#include <utility>

#ifdef __GLIBCXX__
#include <ext/stdio_sync_filebuf.h>
#endif

namespace multifork {
namespace {

using namespace std::chrono_literals;

// What a child of Process::start() needs at its end; there is one in each such process.
detail::Board* own_board = nullptr;

/// Whether a stream passes everything to stdio at once, as all do unless sync_with_stdio(false) was
/// called.
bool keeps_nothing(const std::ostream& stream) {
#ifdef __GLIBCXX__
    const std::streambuf* const buffer = stream.rdbuf();
    return buffer != nullptr && typeid(*buffer) == typeid(__gnu_cxx::stdio_sync_filebuf<char>);
#else
    return stream.rdbuf() == nullptr;
#endif
}

void flush_output() noexcept {
    for (std::ostream* const stream : {&std::cout, &std::cerr, &std::clog})
        try {
            if (!keeps_nothing(*stream))
                stream->flush();
        } catch (...) {
            // A stream that throws on failure: a closed stdout must not change an exit code.
        }
    std::fflush(nullptr);
}

/// The child's last function, whether its target returned or called exit(). It runs after what the
/// child registered with atexit() and before anything that it inherited, and ends the process, so
/// that a parent's exit handlers and static destructors run in the parent alone.
void end_of_child(int status, void*) {
    flush_output();
    arena::leave_named_segments();
    arena::leave_pipe_ends();
    liveness::detach_this_thread();
    own_board->say_exit(status);
    ::_exit(status);
}

std::string type_of_current_exception() {
    const std::type_info* type = abi::__cxa_current_exception_type();
    if (type == nullptr)
        return "unknown";
    int status = 0;
    char* const name = abi::__cxa_demangle(type->name(), nullptr, nullptr, &status);
    std::string result = name != nullptr ? name : type->name();
    std::free(name);
    return result;
}

/// Says on stderr, and to the parent, which exception left the target.
void report_exception(const char* what) noexcept {
    try {
        const std::string type = type_of_current_exception();
        own_board->say_error(type, what);
        fmt::print(stderr, "{} (pid {}) ended with {}{}{}\n", this_process::name(), ::getpid(),
                   type, *what != '\0' ? ": " : "", what);
    } catch (...) {
        own_board->say_error("unknown", what);
    }
}

template <class Run>
int run_reporting(Run run) {
    try {
        run();
        return 0;
    } catch (const abi::__forced_unwind&) {
        // pthread_exit(): the process ends, as if the target had returned. To go on unwinding would
        // run, in the child, what the parent has on its stack behind start().
        std::exit(0);
    } catch (const std::exception& error) {
        report_exception(error.what());
    } catch (...) {
        report_exception("");
    }
    return 1;
}

} // namespace

Process::Process(ProcessOptions options)
    : ProcessHandle(
          std::make_shared<detail::Child>(std::move(options), detail::next_child_name())) {}

Process::Process(Process&&) noexcept = default;

Process& Process::operator=(Process&& other) noexcept {
    if (this != &other) {
        finish();
        ProcessHandle::operator=(std::move(other));
        target_ = std::move(other.target_);
    }
    return *this;
}

Process::~Process() {
    finish();
}

void Process::finish() noexcept {
    if (!child_)
        return; // moved from
    try {
        {
            const std::scoped_lock hold(child_->mutex);
            if (!child_->started || child_->closed || child_->parent_pid != ::getpid())
                return;
        }
        if (child_->daemon) {
            child_->signal(SIGTERM);
            if (child_->wait(platform::Deadline::after(5s)))
                return;
            child_->signal(SIGKILL);
        }
        child_->wait(platform::Deadline::never());
    } catch (...) {
        // A destructor has nobody to tell; a child that cannot be waited for stays to init.
    }
}

void Process::set_name(std::string name) {
    const std::scoped_lock hold(child().mutex);
    if (child_->started)
        throw ProcessError(std::errc::invalid_argument, "set_name() after start(); name it before");
    child_->name = std::move(name);
}

void Process::set_daemon(bool daemon) {
    const std::scoped_lock hold(child().mutex);
    if (child_->started)
        throw ProcessError(std::errc::invalid_argument,
                           "set_daemon() after start(); say it before");
    child_->daemon = daemon;
}

void Process::run() {
    if (target_)
        (*target_)();
}

void Process::start() {
    detail::Child& child = ProcessHandle::child();
    const std::scoped_lock hold(child.mutex);
    child.check_open();
    if (child.parent_pid != ::getpid())
        throw ProcessError(
            std::errc::operation_not_permitted,
            fmt::format("start() of {} by another process than the one that made it (pid {})",
                        child.name, child.parent_pid));
    if (child.started)
        throw ProcessError(std::errc::invalid_argument,
                           fmt::format("{} was started already; make another Process", child.name));

    child.board = detail::make_board();
    if (child.daemon)
        detail::prepare_lifeline();
    arena::reserve_child(child.name);
    flush_output(); // or the child would say once more what the parent has not yet said

    const bool was_alone = platform::has_one_thread();
    const pid_t pid = ::fork();
    if (pid == 0) {
        child.pid = ::getpid();
        child.started = true;
        child.mutex.unlock();
        be_the_child(was_alone);
    }
    const int error = errno;
    const arena::ProcessId born = arena::take_born();
    if (pid < 0) {
        arena::tree_space().impl().heap.end_process(born);
        child.board = {};
        throw ProcessError(static_cast<std::errc>(error),
                           fmt::format("fork for {} failed: {}; too many processes, or no memory",
                                       child.name, std::generic_category().message(error)));
    }
    child.pid = pid;
    child.started = true;
    child.pidfd = platform::open_pidfd(pid);
    arena::born_as(born, static_cast<std::uint32_t>(pid));
    child.record = born;
    target_.reset(); // the child has its copy
    detail::remember_child(child_);
}

// What the child does here, before its target, touches as few pages as it can: each page that it
// writes, and each that its parent has not used yet, costs a microsecond or two.
void Process::be_the_child(bool was_alone) {
    detail::Child& child = *child_;
    own_board = &detail::board_in(child.board);
    ::on_exit(end_of_child, nullptr);

    // All of it under the eyes of run_reporting(): no exception may reach the parent's frames
    // below.
    const int code = run_reporting([&] {
        detail::Self& self = detail::self();
        self.parent = ParentProcess{child.parent_pid, std::exchange(self.name, child.name)};
        self.identity = std::move(child.identity);
        self.children_named = 0;
        self.daemon = child.daemon;
        if (!was_alone)
            detail::free_siblings();
        if (child.daemon)
            detail::hold_on_to_parent();
        run();
        target_.reset();
    });
    std::exit(code);
}

} // namespace multifork
