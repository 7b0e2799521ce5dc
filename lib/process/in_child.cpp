#include "process/in_child.hpp"

#include "arena/named.hpp"
#include "arena/pipe_end.hpp"
#include "platform/log.hpp"
#include "process/streams.hpp"

#include <multifork/process/this_process.hpp>

#include <cxxabi.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <typeinfo>

#ifdef __GLIBCXX__
#include <ext/stdio_sync_filebuf.h>
#endif

namespace multifork::detail {
namespace {

Board* board = nullptr;
std::uint32_t board_owner = 0;

/// Null in a process that the child forked by itself: the end of that one is not the child's.
Board* own_board() noexcept {
    return board_owner == platform::process_id() ? board : nullptr;
}

/// Whether a stream passes everything to stdio at once, as all do unless sync_with_stdio(false) was
/// called.
template <class Character>
bool keeps_nothing(const std::basic_ostream<Character>& stream) {
#ifdef __GLIBCXX__
    const auto* const buffer = stream.rdbuf();
    return buffer != nullptr && typeid(*buffer) == typeid(__gnu_cxx::stdio_sync_filebuf<Character>);
#else
    return stream.rdbuf() == nullptr;
#endif
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
    Board* const own = own_board();
    std::string type;
    try {
        type = type_of_current_exception();
    } catch (...) {
        type = "unknown"; // as short as it is, it needs no memory
    }
    if (own != nullptr)
        own->say_error(type, what);
    try {
        fmt::print(stderr, "{} (pid {}) ended with {}{}{}\n", this_process::name(), ::getpid(),
                   type, *what != '\0' ? ": " : "", what);
    } catch (...) {
        // stderr cannot be written to; the parent has been told
    }
}

/// Not named flush: std::flush, a template of streams too, would be the better match.
template <class Stream>
void pass_on(Stream& stream) noexcept {
    try {
        if (!keeps_nothing(stream))
            stream.flush();
    } catch (...) {
        // A stream that throws on failure: a closed stdout must not change an exit code.
    }
}
void flush_iostreams() noexcept {
    for (std::ostream* const stream : {&std::cout, &std::cerr, &std::clog})
        pass_on(*stream);
    for (std::wostream* const stream : {&std::wcout, &std::wcerr, &std::wclog})
        pass_on(*stream);
}

} // namespace

void flush_output() noexcept {
    flush_iostreams();
    flush_streams(Busy::left);
}

void end_of_child(int status, void*) {
    if (platform::log_enabled(LogLevel::info))
        platform::log(LogLevel::info, fmt::format("process exiting with exitcode {}", status));
    flush_iostreams();
    flush_streams(Busy::awaited); // nobody else writes what is left now
    arena::leave_named_segments();
    arena::leave_pipe_ends();
    liveness::detach_this_thread();
    if (Board* const own = own_board())
        own->say_exit(status);
    ::_exit(status);
}

void report_to(Board& own) noexcept {
    board = &own;
    board_owner = platform::process_id();
}

int run_reporting(const std::function<void()>& run) {
    platform::log(LogLevel::info, "child process calling its target");
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

} // namespace multifork::detail
