#pragma once

#include <multifork/core/lock_cell.hpp>
#include <multifork/liveness/domain.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/platform/export.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

// The barrier: a ledger of who has arrived, and one word that says how each round has ended.
//
//   offset 0    lock       the cell's own lock
//          8    word       see below
//          16   changes    + 1 before every arrival
//          20   forgotten  1 + the latest round that was not passed and has left the history; 0:
//          none 64   arrivals   (name, round) * parties
//
//   word:  bit 0        this round is broken, and so is every one until reset()
//          bits 1..31   number of this round
//          bits 32..63  how the last 32 rounds have ended, the latest lowest; 1: not passed
//
// All under the lock; who wakes reads the word without it.
//
//   arrive   an arrival counts when it names a thread and this round: the name is taken out, the
//            round is written, the name is put in (COMMIT). Its place is what arrive_and_wait()
//            returns
//   pass     word: round + 1, history 0 (COMMIT: all have passed). By the last one to arrive, after
//            its action
//   break    word: bit 0 (COMMIT: nobody passes)
//   reset    word: round + 1, history 1, bit 0 off (COMMIT: nobody of the old round passes)
//
// So one store decides for all of them, and who wakes late still finds how its round has ended: by
// the history, or, when that does not reach back, by `forgotten`, which is stored before the word.
// A round later than that one was passed. One that is earlier counts as not passed: nobody may pass
// by guess. Nothing is derived: the arrivals of a round are counted anew each time, and those of
// earlier rounds count for nothing.
//
// A thread that dies between its arrival and the end of its round breaks the barrier; whoever comes
// across its name does it. Waiters sleep on the word, with the beacons of all who have arrived;
// `changes` is there because one may arrive, and die, between a waiter's look and its sleep. The
// look is under the lock too: it sees both the new `changes` and the name, or neither.

namespace multifork::core {

struct BarrierCell {
    struct Arrival {
        std::atomic<liveness::ThreadWord> name;
        std::atomic<std::uint64_t> round;
    };

    LockCell lock;
    std::atomic<std::uint64_t> word;
    std::atomic<std::uint32_t> changes;
    std::atomic<std::uint32_t> forgotten;
    std::uint64_t spare[5];

    [[nodiscard]] Arrival* arrivals() noexcept { return reinterpret_cast<Arrival*>(this + 1); }
    [[nodiscard]] const Arrival* arrivals() const noexcept {
        return reinterpret_cast<const Arrival*>(this + 1);
    }
};
static_assert(sizeof(BarrierCell) == 64 && sizeof(BarrierCell::Arrival) == 16);

inline constexpr std::uint32_t max_barrier_parties = 0x4000;

[[nodiscard]] constexpr std::size_t barrier_bytes(std::uint32_t parties) {
    return sizeof(BarrierCell) + parties * sizeof(BarrierCell::Arrival);
}

/// A cell and the number of its parties, from a trusted place.
struct BarrierView {
    BarrierCell& cell;
    std::uint32_t parties;
    liveness::Domain& domain;
};

enum class BarrierState : std::uint8_t {
    waiting,        ///< arrived, and others are missing
    last,           ///< arrived as the last one: barrier_pass() is next
    passed,         ///< the round is over, and all were there
    broken,         ///< the round will never be passed
    would_deadlock, ///< the caller has arrived already: this is its own action
    late,           ///< not arrived: time ran out while the action of the round before ran
};

struct BarrierArrival {
    BarrierState state;
    std::uint32_t round;
    std::uint32_t index; ///< 0 to parties - 1, in the order of arrival
};

/// Arrives in this round, or in the next one while an action runs, if it ends in time. The state is
/// none of `passed`.
[[nodiscard]] MULTIFORK_API BarrierArrival barrier_arrive(const BarrierView& barrier,
                                                          platform::Deadline deadline);
/// Waits for the end of a round; when the time runs out before all have come, that breaks it.
/// \return passed or broken
[[nodiscard]] MULTIFORK_API BarrierState barrier_wait(const BarrierView& barrier,
                                                      std::uint32_t round,
                                                      platform::Deadline deadline);
/// Lets all pass, if the round is not broken. \return passed or broken
[[nodiscard]] MULTIFORK_API BarrierState barrier_pass(const BarrierView& barrier,
                                                      std::uint32_t round);
/// Breaks that round, if it is not over.
MULTIFORK_API void barrier_break(const BarrierView& barrier, std::uint32_t round);
/// Breaks the round, whichever it is.
MULTIFORK_API void barrier_abort(const BarrierView& barrier);
/// Breaks the round if anybody has arrived in it, and begins a new one.
MULTIFORK_API void barrier_reset(const BarrierView& barrier);
/// Who has arrived in this round; 0 when it is broken.
[[nodiscard]] MULTIFORK_API std::uint32_t barrier_waiting(const BarrierView& barrier) noexcept;
[[nodiscard]] MULTIFORK_API bool barrier_broken(const BarrierView& barrier) noexcept;

} // namespace multifork::core
