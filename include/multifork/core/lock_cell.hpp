#pragma once

#include <multifork/liveness/domain.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/platform/export.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>

// The lock: one word that is its owner's name.
//
//   word = 0                  free        -> name, by CAS of any thread
//   word = name               held        -> 0, by XCHG of the owner
//   word = name | WAITERS     held, and somebody may sleep on the word: the owner wakes one
//   word = name | ONE_STORE   held by one whose death leaves nothing to repair
//   word = name of the dead   owner died  -> name | WAITERS, by CAS of the heir
//   word = poisoned           owner died, for good: a repair failed
//
// The CAS is the one store that takes, the XCHG the one that gives. A thread that dies before its
// CAS leaves the word as it was; after it, a word whose owner is dead: the next locker sees that at
// once, and a sleeper is woken by the kernel (it sleeps on word, bell, relay and the owner's
// beacon). A thread that dies between its XCHG and the wake-up that it owes rings the bell.
//
// A woken waiter takes the lock *with* the WAITERS bit, because it cannot know whether others
// sleep; one that leaves on a timeout wakes another, in case the wake-up was meant for it.
//
// What it costs: a CAS and an XCHG.

namespace multifork::core {

struct LockCell {
    std::atomic<liveness::ThreadWord> word;
};
static_assert(sizeof(LockCell) == 8 && std::atomic<liveness::ThreadWord>::is_always_lock_free);

enum class Acquired : std::uint8_t {
    clean,          ///< taken
    inherited,      ///< taken from a dead owner: the caller repairs what the lock protects
    timed_out,      ///< not taken
    owner_dead,     ///< not taken: the owner is dead, and the caller did not want to inherit
    would_deadlock, ///< not taken: the caller holds it, and was ready to wait for ever
};

/// What to do about a dead owner.
enum class OnDeath : std::uint8_t {
    inherit,          ///< take the lock over; the caller repairs
    refuse,           ///< report owner_dead, unless the owner had promised ONE_STORE
    refuse_one_store, ///< as refuse, and promise ONE_STORE oneself
};

[[nodiscard]] MULTIFORK_API Acquired lock_slow(LockCell& cell, liveness::Domain& domain,
                                               liveness::ThreadWord me, platform::Deadline deadline,
                                               OnDeath on_death);
MULTIFORK_API void wake_one_waiter(LockCell& cell) noexcept;

/// How long whoever only wants to look waits for one who is inside.
///
/// An object's own lock is held for some hundred nanoseconds. Who gave up at once would say "empty"
/// of a queue, or "no permit" of a semaphore, without having looked. Longer than this it takes only
/// when the holder was stopped, or gets no processor.
inline constexpr std::chrono::milliseconds patience{100};

/// Takes the lock that protects an object's own words. As lock() with OnDeath::inherit, but for
/// `deadline` poll() with patience.
[[nodiscard]] inline Acquired lock_inside(LockCell& cell, liveness::Domain& domain,
                                          liveness::ThreadWord me, platform::Deadline deadline) {
    // acquire: pairs with the exchange in unlock()
    if (liveness::ThreadWord free = liveness::nobody; cell.word.compare_exchange_strong(
            free, me, std::memory_order_acquire, std::memory_order_relaxed)) [[likely]]
        return Acquired::clean;
    return lock_slow(cell, domain, me,
                     deadline.is_poll() ? platform::Deadline::after(patience) : deadline,
                     OnDeath::inherit);
}

/// Takes the lock. `me` is from enter(), which the caller has called for this operation.
[[nodiscard]] inline Acquired lock(LockCell& cell, liveness::Domain& domain,
                                   liveness::ThreadWord me, platform::Deadline deadline,
                                   OnDeath on_death) {
    liveness::ThreadWord free = liveness::nobody;
    const liveness::ThreadWord mine =
        on_death == OnDeath::refuse_one_store ? me | liveness::one_store_bit : me;
    // acquire: pairs with the exchange in unlock()
    if (cell.word.compare_exchange_strong(free, mine, std::memory_order_acquire,
                                          std::memory_order_relaxed)) [[likely]]
        return Acquired::clean;
    return lock_slow(cell, domain, me, deadline, on_death);
}

/// Gives the lock up; the caller holds it.
///
/// seq_cst, because queues and semaphores look, after this, at a flag that a sleeper sets before it
/// looks at what the lock protected.
inline void unlock(LockCell& cell) noexcept {
    if ((cell.word.exchange(liveness::nobody) & liveness::waiters_bit) != 0) [[unlikely]]
        wake_one_waiter(cell);
}

/// Whether the thread of that name holds the lock.
[[nodiscard]] inline bool held_by(const LockCell& cell, liveness::ThreadWord me) noexcept {
    // relaxed: only the answer for the caller's own name is ever used, and that is the caller's own
    // store
    return liveness::name_of(cell.word.load(std::memory_order_relaxed)) == me;
}

/// Gives up a lock under which functions of the user's have run. One of them may have called fork()
/// and returned in the child as well, which holds nothing: there the lock stays the parent's.
///
/// \param me  from enter() again: what ran may have used another segment, whose bell then is the
///            armed one
inline void unlock_after_call(LockCell& cell, liveness::ThreadWord me) noexcept {
    if (held_by(cell, me)) [[likely]]
        unlock(cell);
}
[[noreturn]] MULTIFORK_API void throw_forked();
/// To be called between such a function and the commit. \throws NotOwner in the child
inline void check_after_call(const LockCell& cell, liveness::ThreadWord me) {
    if (!held_by(cell, me)) [[unlikely]]
        throw_forked();
}

/// Takes the lock over from a dead owner. \return false when there is no dead owner (any more)
[[nodiscard]] MULTIFORK_API bool inherit_from_dead(LockCell& cell, const liveness::Domain& domain,
                                                   liveness::ThreadWord me) noexcept;

/// Marks the lock, which the caller holds, as one whose owner died: its repair failed.
MULTIFORK_API void poison(LockCell& cell) noexcept;

} // namespace multifork::core
