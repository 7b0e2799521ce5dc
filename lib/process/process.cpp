#include "arena/space_impl.hpp"
#include "process/child.hpp"
#include "process/fork_server.hpp"
#include "process/in_child.hpp"
#include "process/lifeline.hpp"
#include "process/self.hpp"
#include "process/spawn.hpp"
#include "process/start_method.hpp"
#include "process/streams.hpp"

#include <multifork/process/process.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <memory>
#include <typeinfo>
#include <utility>

namespace multifork {
namespace {
using namespace std::chrono_literals;
} // namespace

Process::Process(ProcessOptions options)
    : ProcessHandle(std::make_shared<detail::Child>(
          options, detail::next_child_name(detail::class_name(options.start_method)))) {}

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

    static_cast<void>(detail::own_authkey()); // which the child is to have too
    child.board = detail::make_board();
    auto pidfd = std::make_shared<platform::Descriptor>(); // while nothing runs that could be lost
    detail::remember_child(child_);                        // as early: see free_siblings()
    try {
        const StartMethod method = child.method.value_or(detail::default_start_method());
        if (method == StartMethod::fork)
            start_by_fork();
        else
            start_elsewhere(method);
    } catch (...) {
        child.board = {};
        throw;
    }
    if ((*pidfd = platform::open_pidfd(child.pid)))
        child.pidfd = std::move(pidfd);
    child.started = true;
    target_.reset(); // the child has its copy
}

void Process::start_by_fork() {
    detail::Child& child = *child_;
    detail::heed_fork_policy();
    if (child.daemon)
        detail::prepare_lifeline();
    arena::reserve_child(child.name);
    detail::flush_output(); // what was said before the child is to be seen before it

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
        throw ProcessError(static_cast<std::errc>(error),
                           fmt::format("fork for {} failed: {}; too many processes, or no memory",
                                       child.name, std::generic_category().message(error)));
    }
    child.pid = pid;
    arena::born_as(born, static_cast<std::uint32_t>(pid));
    child.record = born;
}

void Process::start_elsewhere(StartMethod method) {
    detail::Child& child = *child_;
    if (!target_ && typeid(*this) == typeid(Process)) {
        const auto nothing = [] {};
        target_ =
            std::make_unique<detail::Call<std::decay_t<decltype(nothing)>>>(std::in_place, nothing);
    }
    if (!target_)
        throw NotShareable(fmt::format(
            "{} has a run() of its own and no target, and cannot be made anew in a process that is "
            "not forked; give the Process a function, or use start method fork",
            child.name));
    if (detail::is_being_born())
        throw ProcessError(
            std::errc::operation_not_permitted,
            fmt::format("{} is started by a static object, while this process is itself being "
                        "spawned, and so would be the next one, for ever; start processes in "
                        "main() or later",
                        child.name));
    detail::Order order;
    order.name = child.name;
    order.daemon = child.daemon;
    order.identity = child.identity;
    order.parent_pid = ::getpid();
    order.parent_name = this_process::name();
    order.method = method;
    order.authkey = detail::own_authkey();
    detail::flush_output(); // what was said before the child is to be seen before it
    if (method == StartMethod::spawn) {
        detail::Spawned spawned = detail::spawn(std::move(order), child.board, *target_);
        child.pid = spawned.pid;
        child.record = spawned.record;
        child.kept = std::move(spawned.kept);
        return;
    }
    const arena::ProcessId record = arena::begin_child(child.name, true);
    try {
        detail::WrittenOrder written =
            detail::write_order(std::move(order), child.board, *target_, record);
        child.pid = detail::fork_by_server(written);
        child.kept = std::move(written.kept);
    } catch (...) {
        arena::end_child(record);
        throw;
    }
    arena::born_as(record, static_cast<std::uint32_t>(child.pid));
    child.record = record;
}

// What the child does here, before its target, touches as few pages as it can: each page that it
// writes, and each that its parent has not used yet, costs a microsecond or two.
void Process::be_the_child(bool was_alone) {
    detail::Child& child = *child_;
    detail::drop_inherited_output();
    detail::report_to(detail::board_in(child.board));
    ::on_exit(detail::end_of_child, nullptr);

    const auto become_and_run = [&] {
        detail::Self& self = detail::self();
        self.parent = ParentProcess{child.parent_pid, self.shown_name()};
        self.name = child.name;
        self.identity = std::move(child.identity);
        self.children_named = 0;
        self.daemon = child.daemon;
        if (!was_alone)
            detail::free_siblings();
        if (child.daemon)
            detail::hold_on_to_parent();
        run();
        // What it captured ends here; its memory goes with the process.
        if (target_)
            std::destroy_at(target_.release());
    };
    // All of it under the eyes of run_reporting(): no exception may reach the parent's frames
    // below. By reference: a copy would be an allocation.
    std::exit(detail::run_reporting(std::cref(become_and_run)));
}

} // namespace multifork
