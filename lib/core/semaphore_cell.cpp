#include "liveness/registry.hpp"
#include "liveness/sleep.hpp"
#include "platform/compiler_barrier.hpp"
#include "platform/futex.hpp"

#include <multifork/core/semaphore_cell.hpp>
#include <multifork/error.hpp>
#include <multifork/platform/mutant.hpp>

#include <algorithm>
#include <cstdlib>

namespace multifork::core {
namespace {

using liveness::Domain;
using liveness::nobody;
using liveness::ThreadWord;
using Entry = SemaphoreCell::Entry;

// Everything below that touches total, value or the ledger runs under the cell's lock, whose
// acquire and release order it; hence relaxed. Compiler barriers keep each commit between what it
// needs and what follows from it.
constexpr auto relaxed = std::memory_order_relaxed;

using platform::compiler_barrier;

// What lies in shared memory may be garbage; a sum of what these give never overflows.
std::int64_t sane(const std::atomic<std::int64_t>& number) noexcept {
    constexpr std::int64_t most = std::int64_t{1} << 61;
    return std::clamp(number.load(relaxed), -most, most);
}
std::int64_t held_by(const Entry& entry) noexcept {
    return static_cast<std::int64_t>(
        std::min(entry.count.load(relaxed), static_cast<std::uint64_t>(max_permits)));
}

class Ledger {
public:
    Ledger(SemaphoreCell& cell, Domain& domain) noexcept : cell_(cell), domain_(domain) {}

    [[nodiscard]] Entry* begin() const noexcept { return cell_.ledger(); }
    [[nodiscard]] Entry* end() const noexcept {
        return cell_.ledger() + std::min(cell_.used.load(relaxed), cell_.capacity);
    }

    [[nodiscard]] Entry* find(ThreadWord name) const noexcept {
        const auto at = std::find_if(begin(), end(),
                                     [&](const Entry& e) { return e.name.load(relaxed) == name; });
        return at == end() ? nullptr : at;
    }

    /// Drops the entries of the dead. \return whether there were any
    bool drop_dead() const noexcept {
        bool any = false;
        for (Entry& entry : *this) {
            const ThreadWord name = entry.name.load(relaxed);
            if (name == nobody || liveness::is_alive(domain_, name))
                continue;
            entry.name.store(nobody, relaxed); // COMMIT: its permits are back
            any = true;
        }
        if (any)
            recompute();
        return any;
    }

    void recompute() const noexcept {
        std::int64_t free = sane(cell_.total);
        for (const Entry& entry : *this)
            if (entry.name.load(relaxed) != nobody)
                free -= held_by(entry);
        cell_.value.store(free, relaxed);
    }

    /// COMMITs one permit to `me`. With the ledger full, the permit leaves the semaphore for good
    /// instead, as that of an orderly end: see the head comment of the header.
    void add(ThreadWord me) const noexcept {
        Entry* entry = find(me);
        if (entry != nullptr) {
            entry->count.store(entry->count.load(relaxed) + 1, relaxed);
            return;
        }
        entry = find(nobody);
        if (entry == nullptr)
            entry = fresh();
        if (entry == nullptr) {
            cell_.total.store(sane(cell_.total) - 1, relaxed);
            return;
        }
        entry->count.store(1, relaxed);
        compiler_barrier(); // the name makes the entry: its count comes first
        entry->name.store(me, relaxed);
    }

    /// COMMITs up to `permits` less to the entry. \return how many
    static std::int64_t take_from(Entry& entry, std::int64_t permits) noexcept {
        const auto count = held_by(entry);
        if (count > permits)
            entry.count.store(static_cast<std::uint64_t>(count - permits), relaxed);
        else
            entry.name.store(nobody, relaxed);
        return std::min(count, permits);
    }

    /// An orderly end: what the entry holds leaves the semaphore for good.
    void settle(Entry& entry) const noexcept {
        const auto held = held_by(entry);
        cell_.total.store(sane(cell_.total) - held, relaxed); // COMMIT
        compiler_barrier();
        entry.name.store(nobody, relaxed);
    }

private:
    [[nodiscard]] Entry* fresh() const noexcept {
        const std::uint32_t used = cell_.used.load(relaxed);
        if (used < cell_.capacity) {
            cell_.used.store(used + 1,
                             relaxed); // before the entry is made: no survivor overlooks it
            compiler_barrier();
            return cell_.ledger() + used;
        }
        return nullptr;
    }

    SemaphoreCell& cell_;
    Domain& domain_;
};

/// Repairs what a dead holder left.
bool has_lock(SemaphoreCell& cell, Domain& domain, Acquired got) noexcept {
    if (got == Acquired::inherited && !MULTIFORK_MUTANT(no_recompute)) {
        const Ledger ledger(cell, domain);
        if (!ledger.drop_dead())
            ledger.recompute();
    }
    return got == Acquired::clean || got == Acquired::inherited;
}

/// \return false when the time ran out
bool take_lock(SemaphoreCell& cell, Domain& domain, ThreadWord me, platform::Deadline deadline) {
    return has_lock(cell, domain, lock_inside(cell.lock, domain, me, deadline));
}

void wake_sleeper(SemaphoreCell& cell) noexcept {
    // After unlock(), whose exchange orders the release of a permit before this load; pairs with
    // the sleeper's store of the flag.
    if (cell.flag.load() != 0 && cell.flag.exchange(0) != 0)
        platform::futex_wake(cell.flag, 1);
}

} // namespace

void init_semaphore(SemaphoreCell& cell, std::int64_t initial) noexcept {
    cell.total.store(initial, relaxed); // nobody else sees the cell yet
    cell.value.store(initial, relaxed);
    cell.capacity = semaphore_ledger_size(initial);
}

bool semaphore_acquire(SemaphoreCell& cell, Domain& domain, platform::Deadline deadline) {
    const Ledger ledger(cell, domain);
    bool slept = false;
    for (;;) {
        const ThreadWord me = liveness::enter(domain);
        if (!take_lock(cell, domain, me, deadline)) {
            if (slept)
                wake_sleeper(cell); // the wake-up that this thread cannot use
            return false;
        }
        if (sane(cell.value) > 0 || (ledger.drop_dead() && sane(cell.value) > 0)) {
            liveness::count_holding(domain, me, +1);
            ledger.add(me);
            compiler_barrier();
            const std::int64_t left = sane(cell.value) - 1;
            cell.value.store(left, relaxed);
            unlock(cell.lock);
            // There may be several permits for one wake-up: a release of many, or a death that gave
            // back some.
            if (left > 0)
                wake_sleeper(cell);
            return true;
        }
        if (deadline.is_poll()) {
            unlock(cell.lock);
            return false;
        }
        liveness::Sleep sleep(domain);
        cell.flag.store(1);
        sleep.while_equal(cell.flag, 1);
        sleep.while_equal(cell.changes, cell.changes.load(relaxed));
        bool somebody_died = false;
        for (const Entry& entry : ledger) {
            const ThreadWord name = entry.name.load(relaxed);
            if (name != nobody && !sleep.while_alive(name))
                somebody_died = true;
        }
        unlock(cell.lock);
        if (somebody_died)
            continue;
        const auto result = sleep.wait(deadline);
        if (result.slept) {
            slept = true;
            cell.flag.store(1); // others may sleep behind this one
        }
        if (result.timed_out) {
            platform::futex_wake(cell.flag, 1); // it may have come together with the timeout
            return false;
        }
    }
}

bool semaphore_release(SemaphoreCell& cell, Domain& domain, std::int64_t permits,
                       std::int64_t limit) {
    const ThreadWord me = liveness::enter(domain);
    if (!take_lock(cell, domain, me, platform::Deadline::never()))
        std::abort(); // waits for ever
    const Ledger ledger(cell, domain);
    Entry* own = ledger.find(me);
    if (own == nullptr || held_by(*own) < permits)
        ledger.drop_dead(); // what the dead held has come back: it is not for this release to give
    if (permits > limit - sane(cell.value)) {
        unlock(cell.lock);
        return false;
    }
    // Before the commits: a sleeper that is about to arm must find the word changed.
    cell.changes.store(cell.changes.load(relaxed) + 1, relaxed);
    compiler_barrier();
    std::int64_t left = permits;
    if (own != nullptr) {
        left -= Ledger::take_from(*own, left);
        liveness::count_holding(domain, me, left - permits);
    }
    for (Entry& entry : ledger)
        if (left > 0 && entry.name.load(relaxed) != nobody)
            left -= Ledger::take_from(entry, left);
    compiler_barrier();
    if (left > 0)
        cell.total.store(sane(cell.total) + left, relaxed); // COMMIT
    compiler_barrier();
    cell.value.store(sane(cell.value) + permits, relaxed);
    unlock(cell.lock);
    wake_sleeper(cell); // who, with permits left, wakes the next
    return true;
}

bool semaphore_knows(const SemaphoreCell& cell, ThreadWord name) noexcept {
    const std::uint32_t used = std::min(cell.used.load(relaxed), cell.capacity);
    return std::any_of(cell.ledger(), cell.ledger() + used,
                       [&](const Entry& entry) { return entry.name.load(relaxed) == name; });
}

bool semaphore_try_leave(SemaphoreCell& cell, Domain& domain, ThreadWord name) {
    if (held_by(cell.lock, name))
        return true; // a signal handler ended the thread inside: its permits come back
    // lock(), not lock_inside(): that has patience.
    if (!has_lock(cell, domain,
                  lock(cell.lock, domain, name, platform::Deadline::poll(), OnDeath::inherit)))
        return false;
    const Ledger ledger(cell, domain);
    if (Entry* entry = ledger.find(name); entry != nullptr)
        ledger.settle(*entry);
    unlock(cell.lock);
    return true;
}

std::int64_t semaphore_value(SemaphoreCell& cell, Domain& domain) {
    if (!take_lock(cell, domain, liveness::enter(domain), platform::Deadline::never()))
        return 0;
    const Ledger ledger(cell, domain);
    ledger.drop_dead();
    const std::int64_t free = sane(cell.value);
    unlock(cell.lock);
    if (free > 0)
        wake_sleeper(cell); // a death may have given permits back
    return free;
}

} // namespace multifork::core
