#pragma once

#include "sum.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace demo {

struct CrewOptions {
    int workers = 1;
    int kills = 0; ///< workers that are killed in the middle of the work
};

struct CrewResult {
    std::uint64_t bytes = 0; ///< read by the workers
    std::chrono::nanoseconds took{0};
    std::vector<int> killed; ///< pids
};

/// Sums files by a Pool.
///
/// Many small files are one task, a large one is a task by itself, and those that would keep one
/// worker busy when all others are done already go first. A task whose worker dies is given to
/// another; if they die again and again, each of its files is tried alone, so that only the one
/// that kills is lost.
///
/// \param each   called with each file's place in the list, in the order of the list
/// \param watch  called now and then with the bytes read, and all bytes
[[nodiscard]] CrewResult
sum_in_processes(const std::vector<std::string>& files, const CrewOptions& options,
                 const std::function<void(std::size_t, const FileSum&)>& each,
                 const std::function<void(std::uint64_t, std::uint64_t)>& watch);

} // namespace demo
