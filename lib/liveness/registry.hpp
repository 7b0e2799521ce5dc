#pragma once

#include "platform/robust_list.hpp"

#include <multifork/liveness/domain.hpp>
#include <multifork/liveness/thread_word.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

// The registry of threads, in shared memory. One a segment.
//
//   offset 0     bell        one cache line; its word is 0 for ever
//          64    relay       epoch of "everybody look around"; bumped by whoever hears of a death
//          128   high water, hint, deaths
//          192   beacons     one cache line for each thread slot
//
// A beacon's word, and who may store it:
//
//   0                    free                          -> claimed, by CAS of any thread
//   DIED|WAITERS         its thread died               -> claimed, by CAS of any thread
//   tid|DIED|WAITERS     claimed, not yet in use       -> alive, by the claimer;
//                                                         -> dead, by the kernel
//   tid|WAITERS          alive                         -> 0, by the thread itself;
//                                                         -> dead, by the kernel, or by whoever
//                                                         finds that it is gone: look_again()
//
// WAITERS is always set so that the kernel always wakes a sleeper. The claimer already has
// op_pending at the node when it does the CAS, so that there is no instruction at which its death
// would go unnoticed.
//
// Taking a slot:
//
//   CAS word -> tid|DIED  |  generation + 1  |  link into the robust list  |  word = tid
//
// What the kernel does not mark: a thread other than the first that calls exec. It has become its
// process's first thread, with that one's tid, by the time the kernel walks its list, and a word
// with another tid is nobody's to the kernel. It rings the bell, though, and whoever sleeps on a
// beacon asks after its thread on every tick: see look_again().
//
// A name (slot, generation) is alive iff the word has a tid and no DIED, and the generation is
// that of the name. Since the generation grows while the word still says DIED, no moment exists at
// which an old name looks alive again; this is what sweeps, at one stroke, every entry that a
// former user of the slot left in any lock word, ledger or block header.
//
// The bell: during an operation op_pending points at it. The word being 0, the kernel cannot mark
// it; it wakes one sleeper, which then relays: bumps `relay` and wakes everybody who sleeps on
// that.

namespace multifork::liveness {

struct alignas(64) Beacon {
    platform::RobustNode node;             // 0   written by its thread; the word also by the kernel
    std::atomic<std::uint64_t> generation; // 40  written by the claimer only
    std::atomic<std::uint32_t> pid;        // 48  written by its thread, before it is alive
    std::atomic<std::uint32_t>
        holdings; // 52  ledger entries of this thread; a hint, written by it alone: never too low
    std::atomic<std::uint64_t> pid_namespace; // 56  that of tid and pid; 0: not known. As pid
};
static_assert(sizeof(Beacon) == 64 && offsetof(Beacon, generation) == 40);
static_assert(std::atomic<std::uint32_t>::is_always_lock_free &&
              std::atomic<std::uint64_t>::is_always_lock_free);

struct Registry {
    alignas(64) Beacon bell;
    alignas(64) std::atomic<std::uint32_t> relay;
    alignas(64) std::atomic<std::uint32_t> high_water; // no slot at or above it was ever used
    std::atomic<std::uint32_t> hint;                   // where a free slot may be
    std::atomic<std::uint32_t> deaths; // dead slots found so far: grows, never exact

    [[nodiscard]] Beacon* beacons() noexcept { return reinterpret_cast<Beacon*>(this + 1); }
    [[nodiscard]] const Beacon* beacons() const noexcept {
        return reinterpret_cast<const Beacon*>(this + 1);
    }
};
static_assert(sizeof(Registry) == 192);

[[nodiscard]] constexpr std::size_t registry_bytes(std::uint32_t capacity) {
    return sizeof(Registry) + capacity * sizeof(Beacon);
}

/// The beacon of a name, or nullptr when the slot number cannot be one (garbage in shared memory).
[[nodiscard]] const Beacon* beacon_of(const Domain& domain, ThreadWord name) noexcept;

/// Counts what the calling thread holds. A count that has reached its end stays there: it is never
/// too low.
inline void count_holding(const Domain& domain, ThreadWord me, std::int64_t change) noexcept {
    constexpr std::int64_t most = std::numeric_limits<std::uint32_t>::max();
    auto& holdings = domain.registry().beacons()[slot_of(me)].holdings;
    const std::int64_t now = holdings.load(std::memory_order_relaxed); // its own thread's store
    if (now != most)
        holdings.store(static_cast<std::uint32_t>(std::clamp<std::int64_t>(now + change, 0, most)),
                       std::memory_order_relaxed); // read by its own thread, at its end
}

/// Whether a beacon's word is that of a living thread.
[[nodiscard]] constexpr bool word_is_alive(std::uint32_t word) noexcept {
    return (word & platform::futex_owner_died) == 0 && (word & platform::futex_tid_mask) != 0;
}

/// A second opinion on a beacon whose word has been that of a living thread for long: asks the
/// kernel for the thread, and marks the word when there is none, as the kernel should have done.
/// \param seen  the word, as it was read
void look_again(Domain& domain, Beacon& beacon, std::uint32_t seen) noexcept;

/// Tells every sleeper of the segment to look at its state again.
void relay(Registry& registry) noexcept;

} // namespace multifork::liveness
