#include "liveness/sleep.hpp"
#include "platform/futex.hpp"

#include <multifork/core/rwlock_cell.hpp>
#include <multifork/platform/mutant.hpp>

#include <algorithm>
#include <cstdlib>
#include <span>

namespace multifork::core {
namespace {

using liveness::Domain;
using liveness::name_of;
using liveness::nobody;
using liveness::one_store_bit;
using liveness::ThreadWord;
using liveness::waiters_bit;
using Reader = RwLockCell::Reader;

constexpr auto relaxed = std::memory_order_relaxed; // counts: under the guard

std::span<Reader> readers(RwLockCell& cell) noexcept {
    return {cell.readers, std::min(cell.used.load(), max_readers)};
}

Reader* find(RwLockCell& cell, ThreadWord name) noexcept {
    const auto all = readers(cell);
    const auto at = std::find_if(all.begin(), all.end(),
                                 [&](const Reader& r) { return r.name.load() == name; });
    return at == all.end() ? nullptr : &*at;
}

/// Drops the shares of the dead.
void bury(RwLockCell& cell, const Domain& domain) noexcept {
    for (Reader& reader : readers(cell))
        if (const ThreadWord name = reader.name.load(); name != nobody &&
                                                        !liveness::is_alive(domain, name) &&
                                                        !MULTIFORK_MUTANT(no_reader_sweep))
            reader.name.store(nobody); // COMMIT
}

/// A place in the ledger; nullptr when all are taken.
Reader* free_place(RwLockCell& cell, const Domain& domain) noexcept {
    if (Reader* const place = find(cell, nobody); place != nullptr)
        return place;
    const std::uint32_t used = cell.used.load();
    if (used < max_readers) {
        cell.used.store(used + 1); // before there is a reader: nobody overlooks it
        return &cell.readers[used];
    }
    bury(cell, domain);
    return find(cell, nobody);
}

/// The guard of the ledger. Nothing in it is derived: an heir finds it as every other locker does.
class Guard {
public:
    /// \param deadline  poll() has patience
    Guard(RwLockCell& cell, Domain& domain, ThreadWord me,
          platform::Deadline deadline = platform::Deadline::never())
        : cell_(cell) {
        const Acquired got = lock_inside(cell.guard, domain, me, deadline);
        if (got == Acquired::would_deadlock)
            std::abort(); // it is never called with the guard held
        held_ = got != Acquired::timed_out;
    }
    ~Guard() {
        if (held_)
            unlock(cell_.guard);
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

    /// false: the time ran out. Without a deadline it never does.
    [[nodiscard]] bool held() const noexcept { return held_; }

private:
    RwLockCell& cell_;
    bool held_ = false;
};

/// Waits until nobody reads; the caller's name is in the writer's word. \return false when the time
/// ran out
bool drain(RwLockCell& cell, Domain& domain, ThreadWord me, platform::Deadline deadline) {
    for (;;) {
        liveness::Sleep sleep(domain);
        sleep.while_equal(cell.leaves, cell.leaves.load()); // before the look at the ledger
        bool empty = true;
        bool somebody_died = false;
        {
            const Guard guard(cell, domain, me, deadline);
            if (!guard.held())
                return false;
            bury(cell, domain);
            for (const Reader& reader : readers(cell))
                if (const ThreadWord name = reader.name.load(); name != nobody) {
                    empty = false;
                    somebody_died = !sleep.while_alive(name) || somebody_died;
                }
        }
        if (empty)
            return true;
        if (deadline.is_poll())
            return false;
        if (somebody_died && !MULTIFORK_MUTANT(no_reader_sweep))
            continue;
        if (sleep.wait(deadline).timed_out)
            return false;
    }
}

/// What a reader does that finds a writer's name. \return whether to look again, or what to say
struct Next {
    bool again;
    Shared answer;
};

Next behind_dead_writer(RwLockCell& cell, ThreadWord seen, ThreadWord me,
                        OnDeath on_death) noexcept {
    if ((seen & one_store_bit) != 0) { // it was only waiting for readers
        if (cell.writer.word.compare_exchange_strong(seen, nobody) && (seen & waiters_bit) != 0)
            platform::futex_wake(platform::low_half(cell.writer.word), platform::wake_everybody);
        return {true, {}};
    }
    if (on_death != OnDeath::inherit) // unless it has unlocked and ended since: see lock_slow()
        return {cell.writer.word.load() != seen, Shared::owner_dead};
    const bool mine = cell.writer.word.compare_exchange_strong(seen, me | waiters_bit);
    return {!mine, Shared::inherited};
}

} // namespace

Acquired rwlock_lock(RwLockCell& cell, Domain& domain, platform::Deadline deadline,
                     OnDeath on_death) {
    const ThreadWord me = liveness::enter(domain);
    if (deadline.is_never() && find(cell, me) != nullptr)
        return Acquired::would_deadlock;
    const OnDeath how =
        MULTIFORK_MUTANT(drain_unmarked) ? OnDeath::refuse : OnDeath::refuse_one_store;
    Acquired got = lock(cell.writer, domain, me, deadline, how);
    while (got == Acquired::owner_dead && on_death == OnDeath::inherit) {
        if (rwlock_inherit(cell, domain))
            return Acquired::inherited; // nobody reads beside a writer, dead or alive
        got = lock(cell.writer, domain, me, deadline, how);
    }
    if (got != Acquired::clean)
        return got;
    if (!drain(cell, domain, me, deadline)) {
        rwlock_unlock(cell);
        return Acquired::timed_out;
    }
    cell.writer.word.fetch_and(~one_store_bit); // COMMIT: from here on its death is an owner's
    return Acquired::clean;
}

void rwlock_unlock(RwLockCell& cell) noexcept {
    if ((cell.writer.word.exchange(nobody) & waiters_bit) != 0)
        platform::futex_wake(platform::low_half(cell.writer.word), platform::wake_everybody);
}

Shared rwlock_lock_shared(RwLockCell& cell, Domain& domain, platform::Deadline deadline,
                          OnDeath on_death) {
    const ThreadWord me = liveness::enter(domain);
    for (;;) {
        liveness::Sleep sleep(domain);
        ThreadWord seen = nobody;
        {
            const Guard guard(cell, domain, me, deadline);
            if (!guard.held())
                return Shared::timed_out;
            if (Reader* const mine = find(cell, me); mine != nullptr) {
                mine->count.store(mine->count.load(relaxed) + 1, relaxed); // COMMIT
                return Shared::clean;
            }
            seen = cell.writer.word.load();
            if (seen == nobody) {
                Reader* const place = free_place(cell, domain);
                if (place == nullptr)
                    return Shared::full;
                place->count.store(1, relaxed);
                place->name.store(me); // COMMIT
                return Shared::clean;
            }
        }
        if (!liveness::is_alive(domain, name_of(seen))) {
            const Next next = behind_dead_writer(cell, seen, me, on_death);
            if (next.again)
                continue;
            return next.answer;
        }
        if (deadline.is_never() && name_of(seen) == me)
            return Shared::would_deadlock;
        if (deadline.is_poll())
            return Shared::timed_out;
        if ((seen & waiters_bit) == 0) {
            if (!cell.writer.word.compare_exchange_strong(seen, seen | waiters_bit))
                continue;
            seen |= waiters_bit;
        }
        sleep.while_equal(cell.writer.word, seen);
        if (!sleep.while_alive(name_of(seen)))
            continue;
        if (sleep.wait(deadline).timed_out)
            return Shared::timed_out;
    }
}

bool rwlock_unlock_shared(RwLockCell& cell, Domain& domain) {
    const ThreadWord me = liveness::enter(domain);
    {
        const Guard guard(cell, domain, me);
        Reader* const mine = find(cell, me);
        if (mine == nullptr)
            return false;
        if (const std::uint64_t count = mine->count.load(relaxed); count > 1) {
            mine->count.store(count - 1, relaxed); // COMMIT
            return true;
        }
        cell.leaves.store(cell.leaves.load() + 1); // before: the bell changes no value
        mine->name.store(nobody);                  // COMMIT
    }
    // After the guard was given up, by an exchange: see the head comment of the header.
    if (cell.writer.word.load() != nobody)
        platform::futex_wake(cell.leaves, platform::wake_everybody);
    return true;
}

bool rwlock_inherit(RwLockCell& cell, Domain& domain) {
    const ThreadWord me = liveness::enter(domain);
    ThreadWord seen = cell.writer.word.load();
    return seen != nobody && (seen & one_store_bit) == 0 &&
           !liveness::is_alive(domain, name_of(seen)) &&
           cell.writer.word.compare_exchange_strong(seen, me | waiters_bit);
}

std::uint32_t rwlock_readers(const RwLockCell& cell, const Domain& domain) noexcept {
    const std::uint32_t used = std::min(cell.used.load(), max_readers);
    return static_cast<std::uint32_t>(
        std::count_if(cell.readers, cell.readers + used, [&](const Reader& reader) {
            const ThreadWord name = reader.name.load();
            return name != nobody && liveness::is_alive(domain, name);
        }));
}

} // namespace multifork::core
