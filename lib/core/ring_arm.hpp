#pragma once

#include "liveness/sleep.hpp"

#include <multifork/core/ring.hpp>

// For those who sleep at a ring and at other things besides: how to go to sleep at the ring's part.
// The rules are those of the ring's own sleepers (head comment of multifork/core/ring.hpp): who has
// slept stores 1 into the flag again, and passes the wake-up on unless it has settled it
// (WakeDebt).

namespace multifork::core {

/// Names what changes when there is an item. \return false when there may be one already, or the
/// ring is closed: do not sleep
[[nodiscard]] bool ring_arm_not_empty(RingHeader& ring, liveness::Sleep& sleep);

/// The same for room.
[[nodiscard]] bool ring_arm_not_full(RingHeader& ring, const RingShape& shape,
                                     liveness::Sleep& sleep);

/// Looks out for an item, or room, for a moment, as long as that is cheaper than a sleep.
/// \return whether there may be one
[[nodiscard]] bool ring_item_soon(const RingHeader& ring, const RingShape& shape) noexcept;
[[nodiscard]] bool ring_room_soon(const RingHeader& ring, const RingShape& shape) noexcept;

} // namespace multifork::core
