#include "liveness/sleep.hpp"
#include "platform/futex.hpp"
#include "platform/spin.hpp"

#include <multifork/core/lock_cell.hpp>
#include <multifork/error.hpp>
#include <multifork/liveness/tuning.hpp>
#include <multifork/platform/mutant.hpp>

namespace multifork::core {
namespace {

using liveness::nobody;
using liveness::one_store_bit;
using liveness::ThreadWord;
using liveness::waiters_bit;

/// A short look-out for the owner to leave, before anything is paid for a sleep.
bool take_spinning(LockCell& cell, ThreadWord mine) noexcept {
    const std::uint32_t spins = liveness::tuning().spins.load(std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < spins; ++i) {
        ThreadWord seen = cell.word.load(std::memory_order_relaxed);
        // acquire: pairs with the exchange in unlock()
        if (seen == nobody && cell.word.compare_exchange_strong(
                                  seen, mine, std::memory_order_acquire, std::memory_order_relaxed))
            return true;
        platform::spin_pause();
    }
    return false;
}

} // namespace

Acquired lock_slow(LockCell& cell, liveness::Domain& domain, ThreadWord me,
                   platform::Deadline deadline, OnDeath on_death) {
    const ThreadWord promise = on_death == OnDeath::refuse_one_store ? one_store_bit : 0;
    ThreadWord mine = me | promise;
    if (deadline.is_never() && held_by(cell, me))
        return Acquired::would_deadlock;
    if (!deadline.is_poll() && take_spinning(cell, mine))
        return Acquired::clean;

    for (;;) {
        liveness::Sleep sleep(domain);
        ThreadWord seen = cell.word.load();
        if (seen == nobody) {
            if (cell.word.compare_exchange_strong(seen, mine))
                return Acquired::clean;
            continue;
        }
        if (!liveness::is_alive(domain, liveness::name_of(seen))) {
            const bool whole = (seen & one_store_bit) != 0;
            if (on_death != OnDeath::inherit && !whole) {
                // It may have unlocked and ended since the look at the word. Names never come back:
                // if its name is there now, it was there when it died.
                if (cell.word.load() != seen)
                    continue;
                // A wake-up may have been spent on this thread, which takes nothing: hand it to all
                // who sleep.
                if ((mine & waiters_bit) != 0 && !MULTIFORK_MUTANT(tell_nobody))
                    platform::futex_wake(platform::low_half(cell.word), platform::wake_everybody);
                return Acquired::owner_dead;
            }
            // With the waiters bit: whoever slept behind the dead owner is ours to wake.
            if (cell.word.compare_exchange_strong(seen, me | promise | waiters_bit))
                return whole && on_death != OnDeath::inherit ? Acquired::clean
                                                             : Acquired::inherited;
            continue;
        }
        if (deadline.is_poll())
            return Acquired::timed_out;
        if ((seen & waiters_bit) == 0) {
            if (!cell.word.compare_exchange_strong(seen, seen | waiters_bit))
                continue;
            seen |= waiters_bit;
        }
        // From here on this thread may be the one that is woken for all: it keeps the bit for the
        // others.
        if (!MULTIFORK_MUTANT(no_keep_waiters))
            mine |= waiters_bit;
        sleep.while_equal(cell.word, seen);
        if (!sleep.while_alive(liveness::name_of(seen)))
            continue;
        if (sleep.wait(deadline).timed_out) {
            wake_one_waiter(cell); // the wake-up may have come together with the timeout
            return Acquired::timed_out;
        }
    }
}

void wake_one_waiter(LockCell& cell) noexcept {
    platform::futex_wake(platform::low_half(cell.word), 1);
}

bool inherit_from_dead(LockCell& cell, const liveness::Domain& domain, ThreadWord me) noexcept {
    ThreadWord seen = cell.word.load();
    return seen != nobody && !liveness::is_alive(domain, liveness::name_of(seen)) &&
           cell.word.compare_exchange_strong(seen, me | waiters_bit);
}

void poison(LockCell& cell) noexcept {
    cell.word.store(liveness::poisoned | waiters_bit);
    // Everybody asleep learns it; nobody may sleep on, because there is no owner whose death would
    // ring.
    platform::futex_wake(platform::low_half(cell.word), platform::wake_everybody);
}

void throw_forked() {
    throw NotOwner(
        "fork() returned in a function that an operation on shared data had called: this "
        "is the child, and the operation is its parent's; nothing has changed here. End "
        "the child within the function, by _exit() or exec()");
}

} // namespace multifork::core
