#include "liveness/sleep.hpp"
#include "platform/futex.hpp"

#include <multifork/core/condition_cell.hpp>
#include <multifork/platform/mutant.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <span>
#include <utility>

namespace multifork::core {
namespace {

using liveness::Domain;
using liveness::name_of;
using liveness::nobody;
using liveness::ThreadWord;
using Place = ConditionCell::Place;

constexpr ThreadWord notified_bit = liveness::waiters_bit; // places are no lock words

constexpr auto relaxed = std::memory_order_relaxed; // tickets: under the cell's lock

[[nodiscard]] bool is_notified(ThreadWord word) noexcept {
    return (word & notified_bit) != 0;
}

std::span<Place> places(ConditionCell& cell) noexcept {
    return {cell.places, std::min(cell.used.load(), max_condition_waiters)};
}

/// COMMITs a notification. \param place  of a waiter
void notify(Place& place, ThreadWord word) noexcept {
    place.word.store(word | notified_bit);
    platform::futex_wake(platform::low_half(place.word), 1);
}

/// The oldest living waiter that is not notified.
Place* oldest(ConditionCell& cell, const Domain& domain) noexcept {
    Place* found = nullptr;
    for (Place& place : places(cell)) {
        const ThreadWord word = place.word.load();
        if (word != nobody && !is_notified(word) && liveness::is_alive(domain, word) &&
            (found == nullptr || place.ticket.load(relaxed) < found->ticket.load(relaxed)))
            found = &place;
    }
    return found;
}

/// A notification whose waiter does not need it goes to the one who has waited longest.
void hand_on(ConditionCell& cell, const Domain& domain, Place& from) noexcept {
    if (MULTIFORK_MUTANT(drop_first))
        from.word.store(nobody);
    if (Place* const to = oldest(cell, domain); to != nullptr && !MULTIFORK_MUTANT(no_hand_on)) {
        cell.changes.store(cell.changes.load(relaxed) + 1); // before the notification
        notify(*to, to->word.load());
    }
    from.word.store(nobody);
}

/// Frees the places of the dead.
void bury(ConditionCell& cell, const Domain& domain) noexcept {
    for (Place& place : places(cell)) {
        const ThreadWord word = place.word.load();
        if (word == nobody || liveness::is_alive(domain, name_of(word)))
            continue;
        if (is_notified(word))
            hand_on(cell, domain, place);
        else
            place.word.store(nobody);
    }
}

/// Nothing in the cell is derived: an heir finds it as every other locker does.
ThreadWord take_lock(ConditionCell& cell, Domain& domain) {
    const ThreadWord me = liveness::enter(domain);
    const Acquired got = lock(cell.lock, domain, me, platform::Deadline::never(), OnDeath::inherit);
    if (got != Acquired::clean && got != Acquired::inherited)
        std::abort(); // waits for ever, and is never called with the lock held
    bury(cell, domain);
    return me;
}

/// The beacons of those whose notification would be this waiter's if they died.
/// \return false when somebody has died with one
bool watch(ConditionCell& cell, Domain& domain, liveness::Sleep& sleep, const Place& mine) {
    struct Elder {
        std::uint64_t ticket = 0;
        ThreadWord name = nobody;
    };
    std::array<Elder, 8> elders;                               // those just before this one
    const std::uint64_t my_ticket = mine.ticket.load(relaxed); // its own store
    for (Place& place : places(cell)) {
        const ThreadWord word = place.word.load();
        if (word == nobody || &place == &mine)
            continue;
        const std::uint64_t ticket = place.ticket.load(relaxed); // a hint, without the lock
        if (is_notified(word)) {
            if (!sleep.while_alive(name_of(word)))
                return false;
        } else if (ticket < my_ticket) {
            const auto least =
                std::min_element(elders.begin(), elders.end(), [](const Elder& a, const Elder& b) {
                    return a.ticket < b.ticket;
                });
            if (least->name == nobody || least->ticket < ticket)
                *least = {ticket, word};
        }
    }
    for (const Elder& elder : elders)
        if (elder.name != nobody && !MULTIFORK_MUTANT(unwatched_party))
            // One that is dead and was not notified matters to nobody.
            static_cast<void>(liveness::is_alive(domain, elder.name) &&
                              sleep.while_alive(elder.name));
    return true;
}

} // namespace

std::optional<std::uint32_t> condition_enter(ConditionCell& cell, Domain& domain) {
    const ThreadWord me = take_lock(cell, domain);
    const auto all = places(cell);
    auto at = static_cast<std::uint32_t>(
        std::find_if(all.begin(), all.end(),
                     [](const Place& place) { return place.word.load() == nobody; }) -
        all.begin());
    if (at == max_condition_waiters) {
        unlock(cell.lock);
        return std::nullopt;
    }
    if (at == all.size())
        cell.used.store(at + 1); // before there is a waiter: nobody overlooks it
    const std::uint64_t ticket = cell.next_ticket.load(relaxed);
    cell.next_ticket.store(ticket + 1, relaxed);
    cell.places[at].ticket.store(ticket, relaxed);
    cell.places[at].word.store(me); // COMMIT
    unlock(cell.lock);
    return at;
}

bool condition_sleep(ConditionCell& cell, Domain& domain, std::uint32_t place,
                     platform::Deadline deadline) {
    Place& mine = cell.places[place];
    // Anew: the user's lock, given up meanwhile, may lie in another space.
    const ThreadWord me = liveness::enter(domain);
    for (;;) {
        liveness::Sleep sleep(domain);
        const std::uint32_t changes = cell.changes.load(); // before the look at the places
        const ThreadWord seen = mine.word.load();
        if (seen != me)
            return true; // notified; or overwritten, which is no reason to sleep
        sleep.while_equal(mine.word, seen);
        sleep.while_equal(cell.changes, changes);
        if (!watch(cell, domain, sleep, mine)) {
            static_cast<void>(take_lock(cell, domain));
            unlock(cell.lock);
            continue;
        }
        if (!sleep.wait(deadline).timed_out)
            continue;
        static_cast<void>(take_lock(cell, domain));
        const bool notified = mine.word.load() != me;
        if (!notified)
            mine.word.store(nobody);
        unlock(cell.lock);
        return notified;
    }
}

void condition_leave(ConditionCell& cell, Domain& domain, std::uint32_t place, bool pass_on) {
    static_cast<void>(take_lock(cell, domain));
    Place& mine = cell.places[place];
    if (pass_on && is_notified(mine.word.load()))
        hand_on(cell, domain, mine);
    else
        mine.word.store(nobody);
    unlock(cell.lock);
}

void condition_notify(ConditionCell& cell, Domain& domain, std::uint32_t count) {
    // Without the lock: who waits has taken its place before it gave up the lock under which the
    // caller has changed what is waited for.
    const auto all = places(cell);
    if (std::all_of(all.begin(), all.end(),
                    [](const Place& place) { return place.word.load() == nobody; }))
        return;
    static_cast<void>(take_lock(cell, domain));
    cell.changes.store(cell.changes.load(relaxed) + 1); // who is about to sleep looks again
    if (count >= max_condition_waiters) {
        for (Place& place : places(cell))
            if (const ThreadWord word = place.word.load(); word != nobody && !is_notified(word))
                notify(place, word);
    } else {
        for (; count > 0; --count) {
            Place* const next = oldest(cell, domain);
            if (next == nullptr)
                break;
            notify(*next, next->word.load());
        }
    }
    unlock(cell.lock);
}

std::uint32_t condition_waiters(const ConditionCell& cell, const Domain& domain) noexcept {
    std::uint32_t count = 0;
    for (std::uint32_t i = 0; i < std::min(cell.used.load(), max_condition_waiters); ++i) {
        const ThreadWord word = cell.places[i].word.load();
        if (word != nobody && !is_notified(word) && liveness::is_alive(domain, word))
            ++count;
    }
    return count;
}

} // namespace multifork::core
