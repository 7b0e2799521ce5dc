#pragma once

#include <multifork/process/process.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <source_location>
#include <string>
#include <thread>

#include <sys/types.h>

/// \file
/// Children for tests: how they say that something is wrong, and how a test waits for something.

namespace multifork::test {

/// Looks again and again until `condition()` holds; the watchdog ends a wait in vain.
template <class Condition>
void wait_until(Condition condition) {
    while (!condition())
        std::this_thread::sleep_for(std::chrono::microseconds(200));
}

/// A check in a child, where Boost.Test's would not be heard: throws, so that the child ends with 1
/// and its parent can show error().
void demand(bool holds, std::source_location where = std::source_location::current());

/// Joins, and checks in the parent that the child ended with `code`; says the child's error().
void expect_exit(ProcessHandle& child, int code = 0);

/// What a child does until it is killed.
[[noreturn]] void sleep_for_ever();

/// Runs `body` in a Process and expects that it ends with 0.
void run_in_child(std::function<void()> body);

/// A child made without multifork::Process: by fork(), or by clone() past the C library's handlers.
class RawChild {
public:
    enum class Made { by_fork, by_clone };

    /// \param body  its result is the exit status; an exception makes that 101, with a word on
    /// stderr
    explicit RawChild(const std::function<int()>& body, Made made = Made::by_fork);
    /// Kills what was not waited for.
    ~RawChild();
    RawChild(const RawChild&) = delete;
    RawChild& operator=(const RawChild&) = delete;

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    void kill() const noexcept;
    /// \return n for exit(n), -n when signal n ended it
    int wait();

private:
    pid_t pid_;
    std::optional<int> code_;
};

/// waitpid()'s status as an exit code.
[[nodiscard]] int exit_code_of(int status);

/// Whether the process still runs; a zombie does not.
[[nodiscard]] bool runs(pid_t pid);
/// The state that /proc shows for a thread or process: 'R', 'S' asleep, 'Z' zombie, ...
[[nodiscard]] char state_of(pid_t pid);
/// Waits until the thread or process is asleep in the kernel, as in a futex.
void wait_until_asleep(pid_t pid);

/// How many descriptors this process has open.
[[nodiscard]] std::size_t open_descriptors();

/// Less work in an instrumented program.
[[nodiscard]] int scaled(int count);

} // namespace multifork::test
