#pragma once

#include "count.hpp"
#include "toolkit/files.hpp"

#include <functional>
#include <string>
#include <vector>

namespace demo {

/// All that the workers found, put together.
struct CrewResult {
    Totals totals;
    Frequencies words;
    std::vector<std::size_t> counted;    ///< indices of the files, in order
    std::vector<std::size_t> unreadable; ///< likewise
    std::vector<int> errors;             ///< errno for each unreadable one
    std::size_t not_text = 0;
    std::vector<std::size_t> missing;   ///< files that went down with a worker
    std::vector<std::size_t> by_worker; ///< files that each one reported on
    std::vector<std::string> fallen;    ///< a line for each worker that died
};

/// Counts the files in `workers` processes:
///
///     this process -- Queue<Job> --> workers -- Queue<Report>, a map of words each --> this
///     process
///
/// A worker that dies takes one file with it, or none; the others do the rest. It never hangs.
/// \param watch  called now and then with the number of files that are done
[[nodiscard]] CrewResult count_in_processes(const std::vector<Source>& files, int workers,
                                            const std::function<void(std::size_t)>& watch);

} // namespace demo
