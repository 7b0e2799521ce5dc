#pragma once

#include <multifork/process/process.hpp>

#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace demo {

/// How it went.
struct TeamResult {
    /// From the moment the first one began to the moment the last one was done; without the time it
    /// takes to make and end processes.
    std::chrono::nanoseconds took{0};
    /// One line for each process that did not end as it should.
    std::vector<std::string> fallen;
};

/// Runs work(0), work(1), ... in `count` processes named Process-1, Process-2, ... that begin
/// together, and waits for all of them.
///
/// A process that dies, wherever it dies, is reported; the others are not waited for in vain.
/// \param watch  called now and then meanwhile, in the calling process
TeamResult run_together(
    int count, const std::function<void(int)>& work, const std::function<void()>& watch = [] {});

/// "" for a process that ended with 0, else a line such as
/// "Process-2 (pid 4243) was killed by signal 9 (SIGKILL)".
[[nodiscard]] std::string how_it_fell(const multifork::ProcessHandle& process);

/// Joins all of them. \throws std::runtime_error that says how the first one fell, if one did
void join_all(std::span<multifork::Process> processes);

} // namespace demo
