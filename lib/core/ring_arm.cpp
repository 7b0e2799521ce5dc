#include "core/ring_arm.hpp"

#include "core/soon.hpp"

namespace multifork::core {

bool ring_arm_not_empty(RingHeader& ring, liveness::Sleep& sleep) {
    ring.not_empty.store(1); // before the look at tail; pairs with ring_signal()
    const std::uint64_t tail = ring.tail.load();
    if (tail >> 1 != ring.head.load() >> 1 || (tail & ring_closed_bit) != 0)
        return false;
    sleep.while_equal(ring.not_empty, 1);
    if (!MULTIFORK_MUTANT(no_value_check))
        sleep.while_equal(ring.tail, tail);
    return true;
}

bool ring_arm_not_full(RingHeader& ring, const RingShape& shape, liveness::Sleep& sleep) {
    ring.not_full.store(1); // before the look at head; pairs with ring_signal()
    const std::uint64_t head = ring.head.load();
    const std::uint64_t tail = ring.tail.load();
    if ((tail & ring_closed_bit) != 0 || (tail >> 1) - (head >> 1) < shape.capacity)
        return false;
    sleep.while_equal(ring.not_full, 1);
    if (!MULTIFORK_MUTANT(no_value_check))
        sleep.while_equal(ring.head, head);
    sleep.while_equal(ring.tail, tail);
    return true;
}

bool ring_item_soon(const RingHeader& ring, const RingShape& shape) noexcept {
    return changed_soon([&] { return ring_size(ring, shape) > 0; });
}
bool ring_room_soon(const RingHeader& ring, const RingShape& shape) noexcept {
    return changed_soon([&] { return ring_size(ring, shape) < shape.capacity; });
}

} // namespace multifork::core
