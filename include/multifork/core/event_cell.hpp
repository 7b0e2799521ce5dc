#pragma once

#include <multifork/liveness/domain.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/platform/export.hpp>

#include <atomic>
#include <cstdint>

// The event: one word.
//
//   bit 0      set
//   bit 1      somebody may be asleep on the word; never together with bit 0
//   bits 2..   how often the event was set
//
//   set    CAS: bit 0 on, bit 1 off, count + 1 (COMMIT); then, if bit 1 was on, wake everybody
//   clear  AND: bit 0 off (COMMIT)
//   wait   until bit 0 is on, or the count is not what it was when the wait began
//
// The count is why nobody who waits misses a set() that a clear() follows at once.
//
// Everybody may write. Who dies before the CAS has not set the event, and who dies after it has:
// the word has changed, so that whoever is about to fall asleep does not, and the bell pays the
// wake-up that was owed. A sleeper that dies leaves bit 1, which costs one needless wake-up. All
// are woken, so that no sleeper owes another anything.

namespace multifork::core {

struct EventCell {
    std::atomic<std::uint64_t> word;
};
static_assert(sizeof(EventCell) == 8);

inline constexpr std::uint64_t event_set_bit = 1;
inline constexpr std::uint64_t event_sleepers_bit = 2;
inline constexpr std::uint64_t event_count_unit = 4;

/// A load.
[[nodiscard]] inline bool event_is_set(const EventCell& cell) noexcept {
    return (cell.word.load(std::memory_order_acquire) & event_set_bit) != 0; // pairs with event_set
}
MULTIFORK_API void event_set(EventCell& cell, liveness::Domain& domain);
MULTIFORK_API void event_clear(EventCell& cell) noexcept;
/// \return false when the time ran out
[[nodiscard]] MULTIFORK_API bool event_wait(EventCell& cell, liveness::Domain& domain,
                                            platform::Deadline deadline);

} // namespace multifork::core
