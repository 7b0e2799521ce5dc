#include "liveness/sleep.hpp"
#include "platform/futex.hpp"

#include <multifork/core/barrier_cell.hpp>
#include <multifork/platform/mutant.hpp>

#include <algorithm>
#include <cstdlib>
#include <span>

namespace multifork::core {
namespace {

using liveness::nobody;
using liveness::ThreadWord;
using Arrival = BarrierCell::Arrival;

constexpr std::uint64_t broken_bit = 1;
constexpr std::uint32_t round_mask = 0x7fff'ffff;
constexpr std::uint32_t history_length = 32;

[[nodiscard]] std::uint32_t round_of(std::uint64_t word) noexcept {
    return static_cast<std::uint32_t>(word >> 1) & round_mask;
}

/// The word of the next round. \param passed  how this one has ended
[[nodiscard]] std::uint64_t after(std::uint64_t word, bool passed) noexcept {
    const std::uint64_t history = (word >> 32 << 33) | (passed ? 0 : 1ull << 32);
    return history | std::uint64_t{(round_of(word) + 1) & round_mask} << 1;
}

/// \param word  read before
[[nodiscard]] BarrierState outcome(const BarrierCell& cell, std::uint64_t word,
                                   std::uint32_t round) noexcept {
    const std::uint32_t age = (round_of(word) - round) & round_mask;
    if (age == 0)
        return (word & broken_bit) != 0 ? BarrierState::broken : BarrierState::waiting;
    bool passed = false;
    if (age <= history_length) {
        passed = (word >> (31 + age) & 1) == 0;
    } else {
        const std::uint32_t forgotten = cell.forgotten.load();
        const std::uint32_t later = (round - (forgotten - 1)) & round_mask;
        passed = forgotten == 0 || (later != 0 && later <= round_mask / 2);
    }
    return passed ? BarrierState::passed : BarrierState::broken;
}

std::span<Arrival> arrivals(const BarrierView& barrier) noexcept {
    return {barrier.cell.arrivals(), barrier.parties};
}

/// Who has arrived there in that round; nobody, if nobody has. Also without the lock: the name is
/// taken out before the round is changed, so what stands between two equal names belongs to them.
[[nodiscard]] ThreadWord party(const Arrival& arrival, std::uint32_t round) noexcept {
    const ThreadWord name = arrival.name.load();
    return arrival.round.load() == round && arrival.name.load() == name ? name : nobody;
}

std::uint32_t arrived(const BarrierView& barrier, std::uint32_t round) noexcept {
    const auto all = arrivals(barrier);
    return static_cast<std::uint32_t>(std::count_if(
        all.begin(), all.end(), [&](const Arrival& a) { return party(a, round) != nobody; }));
}

[[nodiscard]] bool somebody_died(const BarrierView& barrier, std::uint32_t round) noexcept {
    const auto all = arrivals(barrier);
    return !MULTIFORK_MUTANT(unwatched_party) &&
           std::any_of(all.begin(), all.end(), [&](const Arrival& a) {
               const ThreadWord name = party(a, round);
               return name != nobody && !liveness::is_alive(barrier.domain, name);
           });
}

/// Nothing in the cell is derived: an heir finds it as every other locker does.
class Hold {
public:
    explicit Hold(const BarrierView& barrier)
        : cell_(barrier.cell), me_(liveness::enter(barrier.domain)) {
        const Acquired got =
            lock(cell_.lock, barrier.domain, me_, platform::Deadline::never(), OnDeath::inherit);
        if (got != Acquired::clean && got != Acquired::inherited)
            std::abort(); // waits for ever, and is never called with the lock held
    }
    ~Hold() {
        unlock(cell_.lock);
        if (ended_)
            platform::futex_wake(platform::low_half(cell_.word), platform::wake_everybody);
    }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

    [[nodiscard]] ThreadWord me() const noexcept { return me_; }
    /// COMMITs the end of this round. \param passed  how it has ended
    void end(std::uint64_t word, bool passed) noexcept {
        if ((word >> 63) != 0) // it leaves the history now
            cell_.forgotten.store(((round_of(word) - history_length) & round_mask) + 1);
        store(after(word, passed));
    }
    /// COMMITs; when the lock is given up all sleepers are woken.
    void store(std::uint64_t word) noexcept {
        cell_.word.store(word);
        ended_ = true;
    }

private:
    BarrierCell& cell_;
    ThreadWord me_;
    bool ended_ = false;
};

void break_if_waiting(const BarrierView& barrier, Hold& hold, std::uint32_t round) noexcept {
    const std::uint64_t word = barrier.cell.word.load();
    if (outcome(barrier.cell, word, round) == BarrierState::waiting)
        hold.store(word | broken_bit);
}

/// Names all who have arrived; under the lock, so that nobody arrives and dies unseen between the
/// look at `changes` and this one. \return false when one of them is dead
bool watch(const BarrierView& barrier, liveness::Sleep& sleep, std::uint32_t round,
           ThreadWord me) noexcept {
    if (MULTIFORK_MUTANT(unwatched_party))
        return true;
    const auto all = arrivals(barrier);
    return std::all_of(all.begin(), all.end(), [&](const Arrival& a) {
        const ThreadWord name = party(a, round);
        return name == me || name == nobody || sleep.while_alive(name);
    });
}

/// Sleeps until the round is over. \return waiting when the time ran out first
BarrierState await_end(const BarrierView& barrier, std::uint32_t round,
                       platform::Deadline deadline) {
    for (;;) {
        if (const BarrierState now = outcome(barrier.cell, barrier.cell.word.load(), round);
            now != BarrierState::waiting)
            return now; // most who were woken: the lock is not for them
        liveness::Sleep sleep(barrier.domain);
        {
            Hold hold(barrier);
            sleep.while_equal(barrier.cell.word, barrier.cell.word.load());
            sleep.while_equal(barrier.cell.changes, barrier.cell.changes.load());
            if (!watch(barrier, sleep, round, hold.me()))
                break_if_waiting(barrier, hold, round);
            if (outcome(barrier.cell, barrier.cell.word.load(), round) != BarrierState::waiting)
                continue;
        }
        if (sleep.wait(deadline).timed_out)
            return outcome(barrier.cell, barrier.cell.word.load(), round);
    }
}

} // namespace

BarrierArrival barrier_arrive(const BarrierView& barrier, platform::Deadline deadline) {
    for (;;) {
        std::uint32_t round = 0;
        {
            Hold hold(barrier);
            const std::uint64_t word = barrier.cell.word.load();
            round = round_of(word);
            if ((word & broken_bit) != 0)
                return {BarrierState::broken, round, 0};
            if (somebody_died(barrier, round)) {
                break_if_waiting(barrier, hold, round);
                return {BarrierState::broken, round, 0};
            }
            const std::uint32_t index = arrived(barrier, round);
            if (index < barrier.parties) {
                // Before the commit: the bell changes no value.
                barrier.cell.changes.store(barrier.cell.changes.load() + 1);
                Arrival& arrival = barrier.cell.arrivals()[index];
                arrival.name.store(nobody);
                arrival.round.store(round);
                arrival.name.store(hold.me()); // COMMIT
                const bool last = index + 1 == barrier.parties;
                return {last ? BarrierState::last : BarrierState::waiting, round, index};
            }
            const auto all = arrivals(barrier);
            if (std::any_of(all.begin(), all.end(),
                            [&](const Arrival& a) { return a.name.load() == hold.me(); }))
                return {BarrierState::would_deadlock, round, 0};
        }
        // All are there, and an action runs: this is for the next round. That one is not broken by
        // somebody who has no part in it.
        if (await_end(barrier, round, deadline) == BarrierState::waiting)
            return {BarrierState::late, round, 0};
    }
}

BarrierState barrier_wait(const BarrierView& barrier, std::uint32_t round,
                          platform::Deadline deadline) {
    if (const BarrierState end = await_end(barrier, round, deadline); end != BarrierState::waiting)
        return end;
    {
        Hold hold(barrier);
        if (arrived(barrier, round) < barrier.parties)
            break_if_waiting(barrier, hold, round);
    }
    // All are there: the action decides.
    return await_end(barrier, round, platform::Deadline::never());
}

BarrierState barrier_pass(const BarrierView& barrier, std::uint32_t round) {
    Hold hold(barrier);
    const std::uint64_t word = barrier.cell.word.load();
    const BarrierState now = outcome(barrier.cell, word, round);
    if (now != BarrierState::waiting)
        return now;
    hold.end(word, true);
    return BarrierState::passed;
}

void barrier_break(const BarrierView& barrier, std::uint32_t round) {
    Hold hold(barrier);
    break_if_waiting(barrier, hold, round);
}

void barrier_abort(const BarrierView& barrier) {
    Hold hold(barrier);
    hold.store(barrier.cell.word.load() | broken_bit);
}

void barrier_reset(const BarrierView& barrier) {
    Hold hold(barrier);
    const std::uint64_t word = barrier.cell.word.load();
    if ((word & broken_bit) != 0 || arrived(barrier, round_of(word)) > 0)
        hold.end(word, false);
}

std::uint32_t barrier_waiting(const BarrierView& barrier) noexcept {
    return barrier_broken(barrier) ? 0 : arrived(barrier, round_of(barrier.cell.word.load()));
}

bool barrier_broken(const BarrierView& barrier) noexcept {
    const std::uint64_t word = barrier.cell.word.load();
    const std::uint32_t round = round_of(word);
    if ((word & broken_bit) != 0)
        return true;
    // Who has passed since, and ended, did not die at the barrier.
    return somebody_died(barrier, round) &&
           outcome(barrier.cell, barrier.cell.word.load(), round) == BarrierState::waiting;
}

} // namespace multifork::core
