#include "toolkit/run.hpp"

#include "toolkit/keys.hpp"
#include "toolkit/options.hpp"
#include "toolkit/progress.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>

namespace demo {
namespace {

pid_t main_process = 0;
constinit std::atomic<const char*> unfinished_file{nullptr};

extern "C" void wipe_and_die(int number) {
    // Children inherit the handler; the line on the terminal is their parent's.
    if (::getpid() == main_process) {
        Keys::restore();
        if (const char* const path = unfinished_file.load())
            ::unlink(path);
    }
    if (::getpid() == main_process && multifork::ProgressBar::is_drawn()) {
        static constexpr std::array<char, 4> wipe{'\r', '\033', '[', 'K'};
        [[maybe_unused]] const auto written = ::write(STDERR_FILENO, wipe.data(), wipe.size());
    }
    // SA_RESETHAND has put the default back: whoever waits for this process sees the signal. Of a
    // demo's children those that take long are daemons and end with it.
    ::raise(number);
}

void watch_signals() {
    main_process = ::getpid();
    std::signal(SIGPIPE, SIG_DFL);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
        struct sigaction before {};
        ::sigaction(number, nullptr, &before);
        if (before.sa_handler == SIG_IGN) // nohup, or a job in the background of a script
            continue;
        struct sigaction after {};
        after.sa_handler = wipe_and_die;
        after.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
        ::sigaction(number, &after, nullptr);
    }
}

/// A closed standard stream would be the number that the next open() gets. Opened the wrong way
/// round, it fails when it is used, and nothing else does.
void occupy_standard_streams() {
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (::fcntl(stream, F_GETFD) < 0)
            ::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

} // namespace

void remove_if_interrupted(const char* path) noexcept {
    unfinished_file.store(path);
}

void complain(std::string_view name, std::string_view text) noexcept {
    // fwrite, because fmt throws where nobody listens.
    try {
        const std::string line = fmt::format("{}: {}\n", name, text);
        std::fwrite(line.data(), 1, line.size(), stderr);
    } catch (const std::exception&) {
        std::fputs("out of memory\n", stderr);
    }
}

int run(const char* name, const std::function<int()>& body) {
    occupy_standard_streams();
    watch_signals();
    int code = failure;
    try {
        code = body();
    } catch (const UsageError& error) {
        complain(name, fmt::format("{}\nTry {} --help.", error.what(), name));
        return bad_usage;
    } catch (const std::exception& error) {
        std::fflush(stdout);
        complain(name, error.what());
        return failure;
    }
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
        complain(name, fmt::format("cannot write the output: {}", std::strerror(errno)));
        return failure;
    }
    return code;
}

} // namespace demo
