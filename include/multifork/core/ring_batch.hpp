#pragma once

#include <multifork/core/ring.hpp>

// Several puts or gets under one lock. Each item has its own commit, in order: who dies in a batch
// has put, or taken, the first few of it, and the heir repairs as after a single put or get.
//
// Whoever is woken wakes the next if there is more (WakeDebt), so one wake-up at the end does for
// the batch.

namespace multifork::core {

struct RingBatch {
    RingResult result = RingResult::done; ///< timed_out, closed: nothing was put or taken
    std::uint64_t count = 0;              ///< items that were
};

/// Waits for room, and puts as many of `count` items as there is room for: write(i, slot) makes the
/// payload of the i-th. What it throws for another than the first ends the batch quietly before
/// that item.
template <class Write, class Repair = NoRepair>
[[nodiscard]] RingBatch ring_put_some(RingHeader& ring, const RingShape& shape,
                                      liveness::Domain& domain, platform::Deadline deadline,
                                      std::uint64_t count, Write&& write,
                                      const Repair& repair = {}) {
    WakeDebt debt(ring.not_full);
    for (;;) {
        if (!ring_lock_producers(ring, shape, domain, deadline, repair))
            return {RingResult::timed_out, 0};
        RingUnlock guard(ring.producers);
        const std::uint64_t tail = ring.tail.load(std::memory_order_relaxed); // own lock
        if ((tail & ring_closed_bit) != 0)
            return {RingResult::closed, 0};
        const std::uint64_t before = tail >> 1;
        // acquire: pairs with the commit of a get, so that its copy is over before the slot is
        // reused
        ring.head_seen = ring.head.load(std::memory_order_acquire) >> 1;
        if (before - ring.head_seen > shape.capacity)
            ring_corrupt(ring, shape);
        const std::uint64_t room = shape.capacity - (before - ring.head_seen);
        std::uint64_t some = room < count ? room : count;
        for (std::uint64_t i = 0; i < some; ++i) {
            try {
                write(i, ring_slot(ring, shape, ring.tail_slot));
            } catch (...) {
                if (i == 0)
                    throw;
                some = i; // what is committed must be told, and signalled
                break;
            }
            if (debt.slept && i + 1 == some &&
                before + some - (ring.head.load() >> 1) >= shape.capacity)
                debt.slept = false; // the last of the room: see ring_put
            std::atomic_signal_fence(std::memory_order_seq_cst);
            // release: pairs with the acquire of tail in ring_get. COMMIT.
            ring.tail.store((before + i + 1) << 1, std::memory_order_release);
            std::atomic_signal_fence(std::memory_order_seq_cst);
            ring.tail_slot = ring.tail_slot + 1 == shape.capacity ? 0 : ring.tail_slot + 1;
        }
        guard.now();
        if (some > 0) {
            ring_signal(ring.not_empty);
            return {RingResult::done, some};
        }
        if (deadline.is_poll() || !ring_wait_not_full(ring, shape, domain, deadline, debt.slept))
            return {RingResult::timed_out, 0};
    }
}

/// Waits for an item, and takes as many as there are, at most `count`: read(i, slot) copies the
/// payload of the i-th out, before its commit; after(i, slot) runs after it. Both under the lock.
/// What read() throws for another than the first ends the batch quietly before that item.
template <class Read, class After, class Repair = NoRepair>
[[nodiscard]] RingBatch ring_get_some(RingHeader& ring, const RingShape& shape,
                                      liveness::Domain& domain, platform::Deadline deadline,
                                      std::uint64_t count, Read&& read, After&& after,
                                      const Repair& repair = {}) {
    WakeDebt debt(ring.not_empty);
    for (;;) {
        if (!ring_lock_consumers(ring, shape, domain, deadline, repair))
            return {RingResult::timed_out, 0};
        RingUnlock guard(ring.consumers);
        const std::uint64_t before = ring.head.load(std::memory_order_relaxed) >> 1; // own lock
        // acquire: pairs with the commit of a put, so that the payload is there
        const std::uint64_t tail = ring.tail.load(std::memory_order_acquire);
        ring.tail_seen = tail >> 1;
        const std::uint64_t there = ring.tail_seen - before;
        if (there == 0 && (tail & ring_closed_bit) != 0)
            return {RingResult::closed, 0};
        if (there > shape.capacity)
            ring_corrupt(ring, shape);
        std::uint64_t some = there < count ? there : count;
        for (std::uint64_t i = 0; i < some; ++i) {
            std::byte* const slot = ring_slot(ring, shape, ring.head_slot);
            try {
                read(i, static_cast<const std::byte*>(slot));
            } catch (...) {
                if (i == 0)
                    throw;
                some = i; // what is committed must be told, and signalled
                break;
            }
            if (debt.slept && i + 1 == some && ring.tail.load() >> 1 == before + some)
                debt.slept = false; // the last one: see ring_get
            std::atomic_signal_fence(std::memory_order_seq_cst);
            // release: pairs with the acquire of head in ring_put. COMMIT: delivered.
            ring.head.store((before + i + 1) << 1, std::memory_order_release);
            std::atomic_signal_fence(std::memory_order_seq_cst);
            after(i, slot);
            ring.head_slot = ring.head_slot + 1 == shape.capacity ? 0 : ring.head_slot + 1;
        }
        guard.now();
        if (some > 0) {
            ring_signal(ring.not_full);
            return {RingResult::done, some};
        }
        if (deadline.is_poll() || !ring_wait_not_empty(ring, domain, deadline, debt.slept))
            return {RingResult::timed_out, 0};
    }
}

} // namespace multifork::core
