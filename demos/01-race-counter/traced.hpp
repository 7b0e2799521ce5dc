#pragma once

#include <multifork/lab/lost_update.hpp>
#include <multifork/lab/trace.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace demo {

/// Two processes that incremented without a lock and wrote down every load and store.
struct TracedRun {
    std::array<std::vector<multifork::lab::TraceEvent>, 2> events; ///< of Process-1 and Process-2
    std::int64_t expected = 0;
    std::int64_t got = 0;
    int attempts = 0;                                  ///< runs made, this one included
    std::optional<multifork::lab::LostUpdate> example; ///< the simplest case; empty: none found
    std::vector<std::string> fallen;
};

/// Repeats the run, longer each time, until one has a lost update in it that the recorded times
/// prove, or `limit` is over.
///
/// On one processor it takes longer: there an update is lost only when a process is interrupted
/// between its load and its store.
[[nodiscard]] TracedRun run_traced(std::chrono::nanoseconds limit,
                                   const std::function<void(double)>& watch);

} // namespace demo
