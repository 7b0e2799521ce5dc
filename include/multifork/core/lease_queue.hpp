#pragma once

#include <multifork/core/lock_cell.hpp>
#include <multifork/liveness/domain.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/platform/export.hpp>
#include <multifork/platform/mutant.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

// The queue of tasks: an item that was got is leased, and stays here until it is done.
//
//   offset 0    header    lock | closed | flags | changes | used | drained | derived counters
//          128  order     4 bytes a slot: the queued slots, oldest first, as a ring   (derived)
//          ...  free      4 bytes a slot: a stack of the free slots below `used`      (derived)
//          ...  leased    4 bytes a slot: the leased slots, in no order               (derived)
//          ...  slots     32 bytes and the payload each, from a multiple of 64 on
//
// Everything is written under the one lock, except the flags. The truth is each slot's `state`,
// one word, and one store changes what an item is:
//
//   0                  free      -> queued, by put
//   queued             waiting   -> name, by get
//   name of a thread   leased    -> 0, by task_done; -> queued, by give_back, or by whoever finds
//                                   that the thread of that name is dead
//
//   put:        position, tries = 0, payload | state = queued (COMMIT) | order
//   get:        lease_tries = tries + 1      | state = me     (COMMIT) | order
//   task_done:                                 state = 0      (COMMIT) | payload's block, free
//   give_back, redelivery:
//               tries = lease_tries          | state = queued (COMMIT) | order
//
// So a lease is valid as long as its owner lives, and needs no record of its own. Nothing is
// counted twice when a redelivery dies half-way: `tries` is set, not increased. The lists and the
// counters are derived: the heir of the lock makes them anew from the states and
// positions, and drops the payload of slots that are free: one whose put died before its commit, or
// whose task_done died after it.
//
// The dead are looked for by get: among all leases when nothing is queued, else among a few, in
// turn; so what the dead had comes back soon also while there is always something else.
//
// Room. `capacity` bounds the queued items. There are more slots than that, for leased items; when
// many are leased a put may wait although fewer than `capacity` are queued.
//
// Sleeping. Getters sleep on not_empty, producers on not_full, joiners on all_done; each also on
// `changes`, which every operation bumps before its commit (the bell changes no value), on bell and
// relay, and getters on the beacons of those who hold leases. Flags are set under the lock, before
// the sleeper looks at the state, and wakers look at them after their unlock. A getter or producer
// that was woken and leaves something for others wakes the next; one that leaves without having
// taken anything passes the wake-up on. Joiners are woken all together.
//
// A closed queue ends for a getter when nothing is queued and nobody else holds a lease: until then
// an item may come back.

namespace multifork::core {

inline constexpr liveness::ThreadWord lease_queued = liveness::poisoned; // no thread's name

struct LeaseSlot {
    std::atomic<liveness::ThreadWord> state;
    std::uint64_t position;    // the number of the item: the order
    std::uint32_t tries;       // how often the item was given out before
    std::uint32_t lease_tries; // what `tries` becomes if this lease is not done
    std::uint64_t leased_at;   // of a leased slot: where it stands in `leased` (derived)

    [[nodiscard]] std::byte* payload() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
};
static_assert(sizeof(LeaseSlot) == 32);

struct LeaseHeader {
    LockCell lock;
    std::atomic<std::uint32_t> closed;  // 0 or 1; one store closes
    std::atomic<std::uint32_t> used;    // slots at or above it were never used
    std::atomic<std::uint32_t> changes; // bumped before each commit
    std::uint32_t drained;              // how often the last item was done
    std::uint64_t spare[5];

    alignas(64) std::atomic<std::uint32_t> not_empty;
    std::atomic<std::uint32_t> not_full;
    std::atomic<std::uint32_t> all_done;
    // Derived:
    std::uint32_t order_first;
    std::uint32_t order_count;
    std::uint32_t free_count;
    std::uint32_t leased_count;
    std::uint32_t look; // where in `leased` the dead are looked for next
    std::uint64_t next_position;
};
static_assert(sizeof(LeaseHeader) == 128);

/// What a user of the queue knows from elsewhere than its bytes, and therefore trusts.
struct LeaseShape {
    std::uint32_t capacity = 0;      ///< items that may be queued, > 0
    std::uint32_t slots = 0;         ///< items that may be queued or leased, >= capacity
    std::uint64_t payload_bytes = 0; ///< a multiple of 8

    [[nodiscard]] constexpr std::size_t slots_offset() const {
        return (sizeof(LeaseHeader) + std::size_t{slots} * 12 + 63) / 64 * 64;
    }
    [[nodiscard]] constexpr std::size_t slot_bytes() const {
        return sizeof(LeaseSlot) + payload_bytes;
    }
    [[nodiscard]] constexpr std::size_t bytes() const {
        return slots_offset() + slots * slot_bytes();
    }
};

/// What a payload owns besides its own bytes.
class LeasePayload {
public:
    /// Gives up what the payload of item `position` owns, if it does own anything. Called under the
    /// queue's lock; twice is once.
    virtual void drop(std::byte* /*payload*/, std::uint64_t /*position*/) const noexcept {}

protected:
    ~LeasePayload() = default;
};

/// A queue as one process sees it.
struct LeaseQueue {
    LeaseHeader& header;
    const LeaseShape& shape;
    liveness::Domain& domain;
    const LeasePayload& payload;
};

/// Names one lease; another lease never has the same four.
struct LeaseToken {
    std::uint32_t slot = 0;
    std::uint32_t tries = 0; ///< 1: the first time that this item was given out
    std::uint64_t position = 0;
    liveness::ThreadWord owner = liveness::nobody;
};

enum class LeaseResult : std::uint8_t { done, timed_out, closed };

/// Waits for room. When the result is done, the queue's lock is held, and the slot is for the
/// caller to fill; lease_put_commit() or lease_put_cancel() must follow.
[[nodiscard]] MULTIFORK_API LeaseResult lease_put_begin(const LeaseQueue& queue,
                                                        platform::Deadline deadline,
                                                        LeaseSlot*& slot);
MULTIFORK_API void lease_put_commit(const LeaseQueue& queue, LeaseSlot& slot);
MULTIFORK_API void lease_put_cancel(const LeaseQueue& queue) noexcept;

/// Puts one item: write(payload, position) makes it, and may throw.
template <class Write>
[[nodiscard]] LeaseResult lease_put(const LeaseQueue& queue, platform::Deadline deadline,
                                    Write&& write) {
    LeaseSlot* slot = nullptr;
    const LeaseResult result = lease_put_begin(queue, deadline, slot);
    if (result != LeaseResult::done)
        return result;
    try {
        if (MULTIFORK_MUTANT(lease_first))
            slot->state.store(lease_queued);
        write(slot->payload(), slot->position);
    } catch (...) {
        lease_put_cancel(queue);
        throw;
    }
    lease_put_commit(queue, *slot);
    return LeaseResult::done;
}

/// Leases the oldest item to the calling thread. Its payload is the caller's to read until the
/// lease ends.
[[nodiscard]] MULTIFORK_API LeaseResult lease_get(const LeaseQueue& queue,
                                                  platform::Deadline deadline, LeaseToken& token);
/// The bytes of a leased item.
[[nodiscard]] MULTIFORK_API std::byte* lease_payload(const LeaseQueue& queue,
                                                     const LeaseToken& token);
/// The item is done, and goes. \return false when that lease has ended
[[nodiscard]] MULTIFORK_API bool lease_task_done(const LeaseQueue& queue, const LeaseToken& token);
/// The item is queued again, at its old place. \return false when that lease has ended
[[nodiscard]] MULTIFORK_API bool lease_give_back(const LeaseQueue& queue, const LeaseToken& token);

/// Waits for a moment at which every item that was put is done. \return false when time ran out
[[nodiscard]] MULTIFORK_API bool lease_join(const LeaseQueue& queue, platform::Deadline deadline);

/// No put succeeds from here on. Idempotent.
MULTIFORK_API void lease_close(const LeaseQueue& queue);

struct LeaseCounts {
    std::size_t queued = 0; ///< those of dead workers included
    std::size_t leased = 0;
};
/// Never blocks; other processes may change it at once.
[[nodiscard]] MULTIFORK_API LeaseCounts lease_counts(const LeaseQueue& queue) noexcept;

} // namespace multifork::core
