#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

/// \file
/// The work of the demos jobs-in-processes, jobs-in-a-pool and parallel: sums of squares, each with
/// a label. A label is Korean text, and a sum does not fit into 64 bits: both must travel.

namespace demo {

/// What Python's int is up to 38 digits. fmt prints it.
__extension__ typedef __int128 Int128;

using Job = std::pair<std::string, std::int64_t>; ///< ("첫 번째", 10**7)
using JobResult = std::pair<std::string, Int128>; ///< ("첫 번째", 333333283333335000000)

/// "첫 번째", "두 번째", ...: so many jobs, with the same count each.
[[nodiscard]] std::vector<Job> make_jobs(std::int64_t jobs, std::int64_t count);

/// sum(i * i for i in range(count)), one addition after the other.
[[nodiscard]] Int128 sum_of_squares(std::int64_t count);

/// What the jobs must give, by the formula (n - 1) n (2n - 1) / 6.
[[nodiscard]] std::vector<JobResult> right_results(const std::vector<Job>& jobs);

/// "[('첫 번째', 14), ('두 번째', 14)]" as Python prints it, in lines that fit the terminal.
[[nodiscard]] std::string list_text(const std::vector<JobResult>& results);

} // namespace demo
