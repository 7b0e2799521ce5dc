#include "support/watchdog.hpp"

#include <boost/test/debug.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <system_error>

#include <sys/prctl.h>
#include <unistd.h>

// Written for each program by multifork_test_limit() in tests/CMakeLists.txt.
extern const unsigned multifork_test_default_seconds;

#if defined(__SANITIZE_THREAD__)
#define MULTIFORK_TEST_SLOWDOWN 10
#elif defined(__SANITIZE_ADDRESS__)
#define MULTIFORK_TEST_SLOWDOWN 3
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MULTIFORK_TEST_SLOWDOWN 10
#elif __has_feature(address_sanitizer)
#define MULTIFORK_TEST_SLOWDOWN 3
#endif
#endif
#if !defined(MULTIFORK_TEST_SLOWDOWN)
#define MULTIFORK_TEST_SLOWDOWN 1
#endif

namespace multifork::test {

const unsigned built_in_slowdown = MULTIFORK_TEST_SLOWDOWN;

namespace {

constexpr int exit_too_slow = 99;

// What the signal handler reads; written only while the timer is not armed.
pid_t watched_process = 0;
std::array<char, 256> message{};
std::size_t message_size = 0;
timer_t timer{};

int watchdog_signal() {
    return SIGRTMAX - 1;
}

/// Moves to the group of a child made for that, to live on for an orderly exit; then kills the old
/// group. Runs in a signal handler, hence _Fork, which calls no pthread_atfork handlers.
void kill_process_group() {
    const pid_t group = getpgrp();
    if (group != getpid()) {
        return;
    }
    const pid_t haven = _Fork();
    if (haven == 0) {
        while (true) {
            pause();
        }
    }
    if (haven > 0) {
        (void)setpgid(haven, haven);
        (void)setpgid(0, haven);
    }
    (void)kill(-group, SIGKILL); // without a haven this ends us as well
    if (haven > 0) {
        (void)kill(haven, SIGKILL);
    }
}

void on_signal(int) {
    const int saved_errno = errno;
    if (getpid() != watched_process) {
        errno = saved_errno;
        return; // a forked child, which inherited the handler but is not watched
    }
    (void)!write(STDERR_FILENO, message.data(), message_size);
    kill_process_group();
    _exit(exit_too_slow);
}

void set_message(const std::string& text) {
    message_size = std::min(text.size(), message.size());
    std::memcpy(message.data(), text.data(), message_size);
}

void install_handler() {
    if (watched_process == getpid()) {
        return;
    }
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigaction(watchdog_signal(), &action, nullptr);

    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = watchdog_signal();
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) {
        throw std::system_error(errno, std::generic_category(), "timer_create");
    }
    watched_process = getpid();
}

void set_timer(unsigned seconds) {
    itimerspec limit{};
    limit.it_value.tv_sec = static_cast<std::time_t>(seconds);
    if (timer_settime(timer, 0, &limit, nullptr) != 0) {
        throw std::system_error(errno, std::generic_category(), "timer_settime");
    }
}

} // namespace

unsigned default_seconds() {
    return multifork_test_default_seconds;
}

unsigned slowdown() {
    unsigned factor = 1;
    if (const char* text = std::getenv("MULTIFORK_TEST_SLOWDOWN")) {
        std::from_chars(text, text + std::strlen(text), factor);
    }
    return std::max(factor, 1U) * built_in_slowdown;
}

void start_own_process_group() {
    install_handler();
    set_message("watchdog: the program that ran this test is gone\n");
    if (getpgrp() == getpid() || setpgid(0, 0) != 0) {
        return;
    }
    const pid_t parent = getppid();
    prctl(PR_SET_PDEATHSIG, watchdog_signal());
    if (getppid() != parent) {
        raise(watchdog_signal());
    }
}

void arm_watchdog(std::string_view name, unsigned seconds) {
    if (boost::debug::under_debugger()) {
        return;
    }
    install_handler();
    const unsigned limit = seconds * slowdown();
    std::string text = "watchdog: ";
    text.append(name).append(" took longer than ").append(std::to_string(limit)).append(" s\n");
    set_message(text);
    set_timer(limit);
}

void disarm_watchdog() {
    if (watched_process == getpid()) {
        set_timer(0);
    }
}

} // namespace multifork::test
