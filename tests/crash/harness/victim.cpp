#include "crash/harness/victim.hpp"

#include "crash/harness/failure.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <string>

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

namespace multifork::test::crash {
namespace {

// Out of the line of the code around it, so that no marker moves into the operation.
[[gnu::noinline]] void marker() {
    asm volatile("int3" ::: "memory");
}

/// What only an instruction that enters the kernel can do: block.
bool stands_before_system_call(pid_t pid) {
    const long rip = ptrace(PTRACE_PEEKUSER, pid, offsetof(user_regs_struct, rip), nullptr);
    const long code = ptrace(PTRACE_PEEKTEXT, pid, rip, nullptr);
    return (code & 0xFFFF) == 0x050F; // syscall
}

} // namespace

bool sleeps_in_library(pid_t pid) {
    std::array<char, 64> path{};
    std::snprintf(path.data(), path.size(), "/proc/%d/syscall", pid);
    const int fd = ::open(path.data(), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    std::array<char, 8> text{};
    const ssize_t n = ::read(fd, text.data(), text.size() - 1);
    ::close(fd);
    const std::string call(text.data());                                    // or "running"
    return n > 0 && (call.starts_with("449 ") || call.starts_with("271 ")); // futex_waitv, ppoll
}

Victim::Victim(const Action& prepare, const Action& operation) {
    std::cout.flush(); // or a child of the victim says once more what the test has not yet said
    std::fflush(nullptr);
    pid_ = ::fork();
    if (pid_ < 0)
        throw Failure("fork failed");
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        // An exception is a failure of the scenario; abort() shows it as a signal.
        [&]() noexcept {
            if (prepare)
                prepare();
            ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
            marker();
            operation();
            marker();
        }();
        for (;;)
            ::pause();
    }
    if (!await_stop(hang_limit_ns()))
        throw Failure("the victim did not reach its first marker");
    if (place_ != Place::finished)
        throw Failure("the victim stopped before its first marker");
    place_ = Place::standing;
    ::ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_EXITKILL);
}

Victim::~Victim() {
    kill();
}

void Victim::kill() {
    if (pid_ <= 0)
        return;
    ::kill(pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) == pid_ && !WIFSIGNALED(status) && !WIFEXITED(status)) {
    }
    pid_ = -1;
}

void Victim::stopped(int status) {
    if (!WIFSTOPPED(status)) {
        pid_ = -1;
        throw Failure("the victim ended by itself, wait status " + std::to_string(status));
    }
    const int signal = WSTOPSIG(status);
    if (signal == SIGCHLD) { // a child of the victim has ended, which it ignores
        place_ = Place::standing;
        return;
    }
    if (signal != SIGTRAP)
        throw Failure("the victim got signal " + std::to_string(signal) +
                      " (6: an exception left the operation)");
    siginfo_t info{};
    ::ptrace(PTRACE_GETSIGINFO, pid_, nullptr, &info);
    // A breakpoint instruction comes as SI_KERNEL, a step does not.
    place_ = info.si_code == SI_KERNEL ? Place::finished : Place::standing;
}

bool Victim::await_stop(std::int64_t limit_ns) {
    int status = 0;
    const std::int64_t until = now_ns() + limit_ns;
    for (;;) {
        const pid_t r = ::waitpid(pid_, &status, WNOHANG);
        if (r == pid_) {
            stopped(status);
            return true;
        }
        if (r < 0)
            throw Failure("waitpid failed");
        if (now_ns() > until)
            return false;
        ::sched_yield();
    }
}

void Victim::step_once() {
    const bool may_block = stands_before_system_call(pid_);
    if (::ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr) != 0)
        throw Failure("PTRACE_SINGLESTEP failed");
    ++steps_;
    if (!may_block) {
        int status = 0;
        if (::waitpid(pid_, &status, 0) != pid_)
            throw Failure("waitpid failed");
        return stopped(status);
    }
    const std::int64_t until = now_ns() + hang_limit_ns();
    while (!await_stop(20'000)) {
        if (sleeps_in_library(pid_)) {
            place_ = Place::asleep;
            return;
        }
        if (now_ns() > until)
            throw Failure("a step of the victim takes for ever in another system call");
    }
}

void Victim::step(unsigned long count) {
    for (unsigned long i = 0; i < count && place_ == Place::standing; ++i)
        step_once();
}

void Victim::step_to_sleep() {
    while (place_ == Place::standing)
        step_once();
    if (place_ != Place::asleep)
        throw Failure("the victim was meant to fall asleep, but its operation returned");
}

void Victim::await_wake() {
    if (!await_stop(hang_limit_ns()))
        throw Failure("nobody woke the victim");
    steps_ = 0;
}

// While it sleeps, a step or a PTRACE_CONT is under way: it stops by itself at the end of that.

bool Victim::finish() {
    const std::int64_t until = now_ns() + hang_limit_ns();
    while (place_ != Place::finished) {
        if (place_ == Place::standing)
            ::ptrace(PTRACE_CONT, pid_, nullptr, nullptr);
        place_ = Place::asleep;
        if (!await_stop(until - now_ns()))
            return false;
    }
    return true;
}

Place Victim::come_to_rest() {
    const std::int64_t until = now_ns() + hang_limit_ns();
    while (place_ != Place::finished) {
        if (place_ == Place::standing)
            ::ptrace(PTRACE_CONT, pid_, nullptr, nullptr);
        place_ = Place::asleep;
        if (await_stop(50'000))
            continue;
        if (sleeps_in_library(pid_))
            break;
        if (now_ns() > until)
            throw Failure("B is neither at its end nor asleep");
    }
    return place_;
}

} // namespace multifork::test::crash
