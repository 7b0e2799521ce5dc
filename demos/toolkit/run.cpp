#include "toolkit/run.hpp"

#include "toolkit/options.hpp"
#include "toolkit/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>

namespace demo {
namespace {

pid_t main_process = 0;

extern "C" void wipe_and_die(int number) {
    // Children inherit the handler; the line on the terminal is their parent's.
    if (::getpid() == main_process && Progress::is_drawn()) {
        static constexpr std::array<char, 4> wipe{'\r', '\033', '[', 'K'};
        [[maybe_unused]] const auto written = ::write(STDERR_FILENO, wipe.data(), wipe.size());
    }
    // SA_RESETHAND has put the default back: whoever waits for this process sees the signal. A
    // demo's children are daemons and end with it.
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

} // namespace

int run(const char* name, const std::function<int()>& body) {
    watch_signals();
    int code = failure;
    try {
        code = body();
    } catch (const UsageError& error) {
        fmt::print(stderr, "{}: {}\nTry {} --help.\n", name, error.what(), name);
        return bad_usage;
    } catch (const std::exception& error) {
        std::fflush(stdout);
        fmt::print(stderr, "{}: {}\n", name, error.what());
        return failure;
    }
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
        fmt::print(stderr, "{}: cannot write the output: {}\n", name, std::strerror(errno));
        return failure;
    }
    return code;
}

} // namespace demo
