#pragma once

#include <multifork/lab/trace.hpp>
#include <multifork/platform/export.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace multifork::lab {

/// One place in a trace where increments were lost, for certain.
///
///     late    load v ........................ store v+1       (puts the number back to v+1)
///     early   load v  store v+1 [load v+1  store v+2 ...]
///
/// `early` and `late` loaded the same number; `early` stored first, and `late` stored over it. The
/// times leave no doubt: each of early's stores began after late's load had ended, and had ended
/// before late's store began; nothing of early's was under way during late's store.
struct LostUpdate {
    std::size_t late = 0;  ///< 0: the late one is the first span given, 1: the second
    std::size_t load = 0;  ///< index of late's load; its store is the next event
    std::size_t first = 0; ///< index of early's load of the same number; its store is the next
    std::size_t last = 0;  ///< index of early's last store before late's
    std::int64_t lost = 0; ///< increments of early that are gone
};

/// All lost updates between two processes that did nothing but load the number and store it plus
/// one.
///
/// Exact when these two were the only ones. Cases where the times leave a doubt are not returned,
/// so this finds fewer than there were.
/// \cost  linear in the number of events
[[nodiscard]] MULTIFORK_API std::vector<LostUpdate>
find_lost_updates(std::span<const TraceEvent> a, std::span<const TraceEvent> b);

/// From the beginning of the first load to the end of the late store, in nanoseconds.
[[nodiscard]] MULTIFORK_API std::int64_t
duration(const LostUpdate& update, std::span<const TraceEvent> a, std::span<const TraceEvent> b);

} // namespace multifork::lab
