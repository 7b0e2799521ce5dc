#pragma once

#include <multifork/core/lock_cell.hpp>
#include <multifork/error.hpp>
#include <multifork/liveness/domain.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/platform/export.hpp>
#include <multifork/platform/mutant.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

// The bounded queue for many producers and many consumers: two locks, two counters, slots.
//
//   offset 0    producers' line   lock | tail | tail_slot | head_seen | not_empty
//          64   consumers' line   lock | head | head_slot | tail_seen | not_full
//          128  slots             capacity * slot_bytes
//
//   tail   = items ever put * 2 + closed      one store commits a put, or the closing
//   head   = items ever taken * 2             one store commits a get
//
// Who writes: tail, tail_slot, head_seen under the producers' lock; head, head_slot, tail_seen
// under the consumers' lock; the flags anybody. Only tail and head are the truth. tail_slot and
// head_slot (the counter modulo the capacity) and head_seen and tail_seen (the opposite counter as
// last seen, so that a put need not fetch the consumers' line) are derived, and recomputed by
// whoever inherits the lock.
//
// Lingering. A consumer that keeps up with its producer would fetch the producers' line for every
// item, and the producer would fetch it back: two misses an item. So a waiter that has found the
// other side busy again and again lingers a moment before it looks, and then finds a batch. Where
// no batch comes (two processes that answer each other), it soon stops that. The counters for this
// are nobody's truth.
//
//   put:  lock | slot = payload | tail + 2 (commit) | unlock | if not_empty was set: clear it, wake
//   one get:  lock | copy the slot  | head + 2 (commit) | unlock | if not_full was set: clear it,
//   wake one
//
// A producer that dies before the commit leaves a slot that nobody will look at before it is
// overwritten; after the commit, an item, and perhaps a wake-up owed, which the bell pays.
//
// Sleeping. A consumer that finds nothing sets not_empty, looks again, and sleeps while
// not_empty == 1, tail == what it saw, bell and relay. It sleeps on the flag itself: a flag apart
// from the word that is slept on loses wake-ups (a slow waker clears what a later sleeper has set).
// tail is there because the bell changes no value: if a producer dies after its commit and before
// this consumer is armed, tail has changed. A woken sleeper sets the flag again, because others may
// sleep behind it, and having taken its item wakes the next if there is more; one that leaves on a
// timeout passes the wake-up on. Producers do the same with not_full and head.

namespace multifork::core {

struct RingHeader {
    alignas(64) LockCell producers;
    std::atomic<std::uint64_t> tail;
    std::uint64_t tail_slot;
    std::uint64_t head_seen;
    std::atomic<std::uint32_t> not_empty;
    std::atomic<std::uint32_t> put_haste; // waits for room since lingering last brought nothing

    alignas(64) LockCell consumers;
    std::atomic<std::uint64_t> head;
    std::uint64_t head_slot;
    std::uint64_t tail_seen;
    std::atomic<std::uint32_t> not_full;
    std::atomic<std::uint32_t> get_haste; // waits for items since lingering last brought nothing

    [[nodiscard]] std::byte* slots() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
};
static_assert(sizeof(RingHeader) == 128);

inline constexpr std::uint64_t ring_closed_bit = 1;

/// What a user of the ring knows from elsewhere than the ring's own bytes, and therefore trusts.
struct RingShape {
    std::uint64_t capacity = 0;   ///< items, > 0
    std::uint64_t slot_bytes = 0; ///< a multiple of 8

    [[nodiscard]] constexpr std::size_t bytes() const {
        return sizeof(RingHeader) + capacity * slot_bytes;
    }
};

enum class RingResult : std::uint8_t { done, timed_out, closed };

/// Whether a put waits for room and a get for an item, or leaves the waiting to its caller, who
/// waits for more than that. The deadline then is only that of the lock.
enum class RingWait : std::uint8_t { here, by_caller };

/// What a death in the middle of a put or a get can leave in a slot, and how it is cleared away.
/// Rings whose payload lies in the slot have none.
struct NoRepair {
    void uncommitted_put(std::byte*) const noexcept {}
    void committed_get(std::byte*) const noexcept {}
};

/// Sleeps until there may be an item. \return false when the time ran out
MULTIFORK_API bool ring_wait_not_empty(RingHeader& ring, liveness::Domain& domain,
                                       platform::Deadline deadline, bool& slept);
/// Sleeps until there may be room. \return false when the time ran out
MULTIFORK_API bool ring_wait_not_full(RingHeader& ring, const RingShape& shape,
                                      liveness::Domain& domain, platform::Deadline deadline,
                                      bool& slept);
MULTIFORK_API void ring_wake_flag(std::atomic<std::uint32_t>& flag) noexcept;
[[noreturn]] MULTIFORK_API void ring_corrupt(const RingHeader& ring, const RingShape& shape);

/// No put succeeds from here on; gets go on until nothing is left. Idempotent.
MULTIFORK_API void ring_close(RingHeader& ring, liveness::Domain& domain);
[[nodiscard]] MULTIFORK_API bool ring_is_closed(const RingHeader& ring) noexcept;
/// Items in the ring now; other processes may change it at once.
[[nodiscard]] MULTIFORK_API std::uint64_t ring_size(const RingHeader& ring,
                                                    const RingShape& shape) noexcept;

/// Wakes one sleeper if the flag says that there may be any. Called after unlock(), whose exchange
/// orders the commit before this load; pairs with the sleeper's store of the flag, which precedes
/// its look at the counter. One of the two sees the other.
inline void ring_signal(std::atomic<std::uint32_t>& flag) noexcept {
    if (flag.load() != 0) [[unlikely]]
        ring_wake_flag(flag);
}

inline std::byte* ring_slot(RingHeader& ring, const RingShape& shape, std::uint64_t slot) {
    if (slot >= shape.capacity) [[unlikely]]
        ring_corrupt(ring, shape);
    return ring.slots() + slot * shape.slot_bytes;
}

/// Takes the producers' lock. \return false when the time ran out
template <class Repair>
[[nodiscard]] bool ring_lock_producers(RingHeader& ring, const RingShape& shape,
                                       liveness::Domain& domain, platform::Deadline deadline,
                                       const Repair& repair) {
    const Acquired got = lock_inside(ring.producers, domain, liveness::enter(domain), deadline);
    if (got == Acquired::clean) [[likely]]
        return true;
    if (got != Acquired::inherited)
        return false;
    const std::uint64_t count = ring.tail.load(std::memory_order_relaxed) >> 1; // own lock
    ring.tail_slot = count % shape.capacity;
    ring.head_seen =
        ring.head.load(std::memory_order_acquire) >> 1; // pairs with the commit of a get
    if (!MULTIFORK_MUTANT(no_block_repair))
        repair.uncommitted_put(ring_slot(ring, shape, ring.tail_slot));
    return true;
}

/// Takes the consumers' lock. \return false when the time ran out
template <class Repair>
[[nodiscard]] bool ring_lock_consumers(RingHeader& ring, const RingShape& shape,
                                       liveness::Domain& domain, platform::Deadline deadline,
                                       const Repair& repair) {
    const Acquired got = lock_inside(ring.consumers, domain, liveness::enter(domain), deadline);
    if (got == Acquired::clean) [[likely]]
        return true;
    if (got != Acquired::inherited)
        return false;
    const std::uint64_t count = ring.head.load(std::memory_order_relaxed) >> 1; // own lock
    ring.head_slot = count % shape.capacity;
    ring.tail_seen =
        ring.tail.load(std::memory_order_acquire) >> 1; // pairs with the commit of a put
    if (count > 0 && !MULTIFORK_MUTANT(no_block_repair))
        repair.committed_get(ring_slot(ring, shape, (count - 1) % shape.capacity));
    return true;
}

/// A wake-up that was spent on this thread. Unless the thread settles it, because it did what it
/// was woken for and there is nothing left to wake another for, it is passed on, however the
/// operation ends.
class WakeDebt {
public:
    explicit WakeDebt(std::atomic<std::uint32_t>& flag) noexcept : flag_(flag) {}
    ~WakeDebt() {
        if (slept && !MULTIFORK_MUTANT(keep_debt))
            ring_signal(flag_);
    }
    WakeDebt(const WakeDebt&) = delete;
    WakeDebt& operator=(const WakeDebt&) = delete;

    bool slept = false; ///< set by the wait, cleared by who settles

private:
    std::atomic<std::uint32_t>& flag_;
};

/// Unlocks when the payload's writer or reader throws: nothing was committed, so nothing has
/// happened.
class RingUnlock {
public:
    explicit RingUnlock(LockCell& cell) noexcept : cell_(&cell) {}
    ~RingUnlock() {
        if (cell_ != nullptr)
            unlock(*cell_);
    }
    RingUnlock(const RingUnlock&) = delete;
    RingUnlock& operator=(const RingUnlock&) = delete;
    void now() noexcept {
        LockCell* cell = cell_;
        cell_ = nullptr;
        unlock(*cell);
    }

private:
    LockCell* cell_;
};

/// Puts one item: write(slot) makes the payload, and may throw.
template <class Write, class Repair = NoRepair>
[[nodiscard]] RingResult ring_put(RingHeader& ring, const RingShape& shape,
                                  liveness::Domain& domain, platform::Deadline deadline,
                                  Write&& write, const Repair& repair = {},
                                  RingWait wait = RingWait::here) {
    WakeDebt debt(ring.not_full);
    for (;;) {
        if (!ring_lock_producers(ring, shape, domain, deadline, repair))
            return RingResult::timed_out;
        RingUnlock guard(ring.producers);
        const std::uint64_t tail = ring.tail.load(std::memory_order_relaxed); // own lock
        if ((tail & ring_closed_bit) != 0)
            return RingResult::closed;
        const std::uint64_t count = tail >> 1;
        if (count - ring.head_seen >= shape.capacity) {
            // acquire: pairs with the commit of a get, so that its copy is over before the slot is
            // reused
            ring.head_seen = ring.head.load(std::memory_order_acquire) >> 1;
            if (count - ring.head_seen > shape.capacity)
                ring_corrupt(ring, shape);
        }
        if (count - ring.head_seen < shape.capacity) {
            const bool commit_first = MULTIFORK_MUTANT(commit_first);
            if (commit_first)
                ring.tail.store(tail + 2, std::memory_order_release);
            write(ring_slot(ring, shape, ring.tail_slot));
            // Not by head_seen, which is old: room that was made meanwhile has waked nobody,
            // because the flag was clear until this thread set it after its sleep.
            if (debt.slept && count + 1 - (ring.head.load() >> 1) >= shape.capacity)
                debt.slept = false;
            // The crash state is a prefix of the compiled program: the payload comes before the
            // commit.
            std::atomic_signal_fence(std::memory_order_seq_cst);
            // release: pairs with the acquire of tail in ring_get. COMMIT.
            if (!commit_first)
                ring.tail.store(tail + 2, std::memory_order_release);
            std::atomic_signal_fence(std::memory_order_seq_cst);
            ring.tail_slot = ring.tail_slot + 1 == shape.capacity ? 0 : ring.tail_slot + 1;
            guard.now();
            ring_signal(ring.not_empty);
            return RingResult::done;
        }
        guard.now();
        if (deadline.is_poll() || wait == RingWait::by_caller ||
            !ring_wait_not_full(ring, shape, domain, deadline, debt.slept))
            return RingResult::timed_out;
    }
}

/// Takes the oldest item: read(slot) copies the payload out, before the commit; after(slot) runs
/// after the commit and still under the lock.
template <class Read, class After, class Repair = NoRepair>
[[nodiscard]] RingResult ring_get(RingHeader& ring, const RingShape& shape,
                                  liveness::Domain& domain, platform::Deadline deadline,
                                  Read&& read, After&& after, const Repair& repair = {},
                                  RingWait wait = RingWait::here) {
    WakeDebt debt(ring.not_empty);
    for (;;) {
        if (!ring_lock_consumers(ring, shape, domain, deadline, repair))
            return RingResult::timed_out;
        RingUnlock guard(ring.consumers);
        const std::uint64_t count = ring.head.load(std::memory_order_relaxed) >> 1; // own lock
        if (ring.tail_seen == count) {
            // acquire: pairs with the commit of a put, so that the payload is there
            const std::uint64_t tail = ring.tail.load(std::memory_order_acquire);
            ring.tail_seen = tail >> 1;
            if (ring.tail_seen == count && (tail & ring_closed_bit) != 0)
                return RingResult::closed;
        }
        if (ring.tail_seen != count) {
            if (ring.tail_seen - count > shape.capacity)
                ring_corrupt(ring, shape);
            std::byte* const slot = ring_slot(ring, shape, ring.head_slot);
            read(static_cast<const std::byte*>(slot));
            // Not by tail_seen, which is old: see ring_put.
            if (debt.slept && ring.tail.load() >> 1 == count + 1)
                debt.slept = false;
            std::atomic_signal_fence(std::memory_order_seq_cst);
            // release: pairs with the acquire of head in ring_put. COMMIT: delivered.
            ring.head.store((count + 1) << 1, std::memory_order_release);
            std::atomic_signal_fence(std::memory_order_seq_cst);
            after(slot);
            ring.head_slot = ring.head_slot + 1 == shape.capacity ? 0 : ring.head_slot + 1;
            guard.now();
            ring_signal(ring.not_full);
            return RingResult::done;
        }
        guard.now();
        if (deadline.is_poll() || wait == RingWait::by_caller ||
            !ring_wait_not_empty(ring, domain, deadline, debt.slept))
            return RingResult::timed_out;
    }
}

} // namespace multifork::core
