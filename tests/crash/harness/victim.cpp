#include "crash/harness/victim.hpp"

#include "crash/harness/failure.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <string>
#include <unordered_map>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

namespace multifork::test::crash {
namespace {

// Out of the line of the code around it, so that no marker moves into the operation.
[[gnu::noinline]] void marker() {
    asm volatile("int3" ::: "memory");
}

// FUTEX_WAITV and ppoll(): the library's two ways to sleep.
constexpr bool is_a_sleep(long system_call) {
    return system_call == SYS_futex_waitv || system_call == SYS_ppoll;
}

// Blocked, so that sigtimedwait() hears of each stop of a victim: waitpid() knows no limit, and who
// polls gives the core to others on a busy machine.
sigset_t sigchld() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    return set;
}
void block_sigchld(int how) {
    const sigset_t set = sigchld();
    ::sigprocmask(how, &set, nullptr);
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
    return n > 0 && is_a_sleep(std::strtol(text.data(), nullptr, 10)); // or "running", which is 0
}

Victim::Victim(const Action& prepare, const Action& operation) {
    block_sigchld(SIG_BLOCK);
    std::cout.flush(); // or a child of the victim says once more what the test has not yet said
    std::fflush(nullptr);
    pid_ = ::fork();
    if (pid_ < 0)
        throw Failure("fork failed");
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        block_sigchld(SIG_UNBLOCK);
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
    place_ = Place::standing;
    end_marker_ = next_; // the instruction behind int3 is the same in both
    ::ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
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
    next_ = static_cast<Path::Address>(
        ::ptrace(PTRACE_PEEKUSER, pid_, offsetof(user_regs_struct, rip), nullptr));
    place_ = Place::standing;
    const int signal = WSTOPSIG(status) & 0x7F; // a system call's begin or end is marked by 0x80
    if (signal == SIGCHLD)                      // a child of the victim has ended, which it ignores
        return;
    if (signal != SIGTRAP)
        throw Failure("the victim got signal " + std::to_string(signal) +
                      " (6: an exception left the operation)");
    if (breakpoint_ && next_ == breakpoint_->address + 1) {
        next_ = breakpoint_->address;
        ::ptrace(PTRACE_POKEUSER, pid_, offsetof(user_regs_struct, rip), next_);
        clear_breakpoint();
    } else if (next_ == end_marker_) {
        place_ = Place::finished;
    }
}

bool Victim::await_stop(std::int64_t limit_ns) {
    const sigset_t set = sigchld();
    const std::int64_t until = now_ns() + limit_ns;
    for (;;) {
        int status = 0;
        const pid_t r = ::waitpid(pid_, &status, WNOHANG);
        if (r == pid_) {
            stopped(status);
            return true;
        }
        if (r < 0)
            throw Failure("waitpid failed");
        const std::int64_t left = until - now_ns();
        if (left <= 0)
            return false;
        const timespec timeout{left / 1'000'000'000, left % 1'000'000'000};
        ::sigtimedwait(&set, nullptr, &timeout);
    }
}

bool Victim::stands_before_system_call() const {
    // All victims of a program have the same code at the same place.
    static std::unordered_map<Path::Address, bool> known;
    const auto [entry, is_new] = known.try_emplace(next_, false);
    if (is_new)
        entry->second = (::ptrace(PTRACE_PEEKTEXT, pid_, next_, nullptr) & 0xFFFF) == 0x050F;
    return entry->second;
}

long Victim::number_of_system_call() const {
    return ::ptrace(PTRACE_PEEKUSER, pid_, offsetof(user_regs_struct, rax), nullptr);
}

bool Victim::stands_before_fork() const {
    if (!stands_before_system_call())
        return false;
    const long call = number_of_system_call();
    return call == SYS_fork || call == SYS_vfork || call == SYS_clone || call == SYS_clone3;
}

bool Victim::set_breakpoint(Path::Address address) {
    errno = 0;
    const long code = ::ptrace(PTRACE_PEEKTEXT, pid_, address, nullptr);
    if (errno != 0 || ::ptrace(PTRACE_POKETEXT, pid_, address, (code & ~0xFFL) | 0xCC) != 0)
        return false; // the kernel's own page
    breakpoint_ = {address, code};
    return true;
}

void Victim::clear_breakpoint() {
    if (breakpoint_)
        ::ptrace(PTRACE_POKETEXT, pid_, breakpoint_->address, breakpoint_->code);
    breakpoint_.reset();
}

// Only what enters the kernel can block.
void Victim::step_once() {
    if (stands_before_system_call())
        return step_and_perhaps_sleep();
    if (::ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr) != 0)
        throw Failure("PTRACE_SINGLESTEP failed");
    ++steps_;
    int status = 0;
    if (::waitpid(pid_, &status, 0) != pid_)
        throw Failure("waitpid failed");
    stopped(status);
}

void Victim::step_and_perhaps_sleep() {
    if (::ptrace(PTRACE_SINGLESTEP, pid_, nullptr, nullptr) != 0)
        throw Failure("PTRACE_SINGLESTEP failed");
    ++steps_;
    const std::int64_t until = now_ns() + hang_limit_ns();
    while (!await_stop(50'000)) {
        if (sleeps_in_library(pid_)) {
            place_ = Place::asleep;
            return;
        }
        if (now_ns() > until)
            throw Failure("a step of the victim takes for ever in another system call");
    }
}

void Victim::run_on() {
    if (::ptrace(PTRACE_CONT, pid_, nullptr, nullptr) != 0)
        throw Failure("PTRACE_CONT failed");
    const std::int64_t until = now_ns() + hang_limit_ns();
    while (!await_stop(50'000)) {
        if (sleeps_in_library(pid_)) {
            place_ = Place::asleep;
            return;
        }
        if (now_ns() > until)
            throw Failure("the victim does not come to the place where it is to die");
    }
}

bool Victim::go(unsigned long k, Path& path) {
    const auto walk_to = [this](unsigned long there) {
        while (steps_ < there && place_ == Place::standing)
            step_once();
    };
    while (place_ == Place::standing && steps_ < k && steps_ < path.size()) {
        const std::size_t end = std::min<std::size_t>(k, path.size() - 1);
        const std::size_t fork = path.fork_between(steps_, end);
        const std::size_t landmark = path.landmark(steps_, fork);
        if (landmark > steps_ && set_breakpoint(path[landmark])) {
            while (breakpoint_ && place_ == Place::standing) // SIGCHLD is a stop too
                run_on();
            if (breakpoint_)
                return false; // it stays set, in a victim that sleeps
            steps_ = landmark;
        }
        walk_to(fork);
        walk_to(std::min<unsigned long>(fork + 1, k));
    }
    while (place_ == Place::standing && steps_ < k) {
        if (steps_ == path.size())
            path.append(next_, stands_before_fork());
        step_once();
    }
    return true;
}

void Victim::run_to_sleep() {
    while (place_ == Place::standing) {
        if (::ptrace(PTRACE_SYSCALL, pid_, nullptr, nullptr) != 0 || !await_stop(hang_limit_ns()))
            throw Failure("the victim is neither asleep nor at its end");
        if (place_ == Place::standing &&
            is_a_sleep(
                ::ptrace(PTRACE_PEEKUSER, pid_, offsetof(user_regs_struct, orig_rax), nullptr)))
            step_and_perhaps_sleep();
    }
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
