#pragma once

#include "crash/harness/pair.hpp"
#include "crash/harness/scenario.hpp"

#include <multifork/error.hpp>
#include <multifork/sync/lock.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <thread>

// A process dies in lock(), unlock() or recover(). Afterwards the lock is free, or its owner is
// known to be dead; and nobody who waits is forgotten.

namespace multifork::test::crash::lock_scenarios {

struct World {
    std::optional<Lock> lock;
};
using Shared = std::shared_ptr<World>;

enum : std::uint64_t { took_it = 1, owner_died = 2 };

/// lock and unlock, or find the owner dead and recover.
inline std::uint64_t use(Lock& lock) {
    for (std::uint64_t result = took_it;; result = owner_died) {
        try {
            lock.lock();
            lock.unlock();
            return result;
        } catch (const OwnerDied&) {
            static_cast<void>(lock.recover());
        }
    }
}

/// Takes it, or learns that its owner is dead, and leaves it at that.
inline std::uint64_t only_ask(Lock& lock) {
    try {
        lock.lock();
        lock.unlock();
        return took_it;
    } catch (const OwnerDied&) {
        return owner_died;
    }
}

inline bool try_use(Lock& lock) {
    return await([&] {
        try {
            if (!lock.try_lock())
                return false;
            lock.unlock();
            return true;
        } catch (const OwnerDied&) {
            static_cast<void>(lock.recover());
            return false;
        }
    });
}

/// Somebody locks and unlocks, and dies in it; afterwards the lock can be used and is free.
inline Scenario locking(const Shared& world, const char* name) {
    Scenario scenario;
    scenario.name = name;
    scenario.set_up = [world] { world->lock.emplace(); };
    scenario.prepare = [world] { use(*world->lock); };
    scenario.operation = [world] {
        world->lock->lock();
        world->lock->unlock();
    };
    scenario.check = [world](Round& round) {
        round.expect_all_done("a waiter was forgotten");
        require(try_use(*world->lock), "the lock is stuck");
        require(!world->lock->owner(), "the lock is not free");
    };
    scenario.state = [world] { return world->lock->to_string(); };
    scenario.nothing_owed_at_the_end = true;
    return scenario;
}

inline Job user(const Shared& world) {
    return [world] { return use(*world->lock); };
}

inline Scenario alone() {
    return locking(std::make_shared<World>(), "lock and unlock, alone");
}

inline Scenario with_late_waiters() {
    const auto world = std::make_shared<World>();
    Scenario scenario = locking(world, "lock and unlock, two waiters arrive");
    scenario.late = {user(world), user(world)};
    return scenario;
}

inline Scenario unlock_with_sleepers() {
    const auto world = std::make_shared<World>();
    Scenario scenario = locking(world, "unlock, two waiters asleep");
    scenario.prepare = [world] { world->lock->lock(); };
    scenario.operation = [world] { world->lock->unlock(); };
    scenario.early = {user(world), user(world)};
    return scenario;
}

/// The test holds the lock; the victim waits for it.
inline Scenario woken(const char* name, const Shared& world) {
    Scenario scenario = locking(world, name);
    scenario.set_up = [world] {
        world->lock.emplace();
        world->lock->lock();
    };
    scenario.prepare = [world] { static_cast<void>(world->lock->try_lock()); };
    scenario.behind = {user(world), user(world)};
    return scenario;
}

inline Scenario woken_waiter() {
    const auto world = std::make_shared<World>();
    Scenario scenario = woken("lock: woken waiter, two asleep behind", world);
    scenario.wake = [world] { world->lock->unlock(); };
    return scenario;
}

/// What strands the waiters of a robust pthread mutex.
inline Scenario woken_waiter_and_barger() {
    const auto world = std::make_shared<World>();
    Scenario scenario = woken("lock: woken waiter while a barger holds it", world);
    scenario.wake = [world] {
        world->lock->unlock();
        world->lock->lock();
    };
    scenario.check = [world, then = scenario.check](Round& round) {
        world->lock->unlock();
        then(round);
    };
    return scenario;
}

inline Scenario going_to_sleep() {
    const auto world = std::make_shared<World>();
    Scenario scenario = locking(world, "lock: going to sleep, two waiters arrive");
    scenario.set_up = [world] {
        world->lock.emplace();
        world->lock->lock();
    };
    scenario.prepare = [world] { static_cast<void>(world->lock->try_lock()); };
    scenario.late = {user(world), user(world)};
    scenario.check = [world, then = scenario.check](Round& round) {
        world->lock->unlock();
        then(round);
    };
    return scenario;
}

inline Scenario recovering() {
    const auto world = std::make_shared<World>();
    Scenario scenario = locking(world, "recover after a death, waiters arrive");
    scenario.set_up = [world] {
        world->lock.emplace();
        do_and_die([world] { world->lock->lock(); });
    };
    scenario.prepare = [world] { static_cast<void>(world->lock->owner()); };
    scenario.operation = [world] { static_cast<void>(world->lock->recover()); };
    scenario.late = {user(world), user(world)};
    return scenario;
}

/// A thread's end makes the lock's owner dead as well.
inline Scenario held_by_the_dead() {
    const auto world = std::make_shared<World>();
    Scenario scenario = locking(world, "lock and hold, three waiters asleep or arriving");
    scenario.operation = [world] { world->lock->lock(); };
    scenario.nothing_owed_at_the_end = false;
    scenario.late = {user(world), user(world), user(world)};
    return scenario;
}

/// Nobody recovers: what wakes one waiter does not come to the next by the lock itself.
inline Scenario all_told() {
    const auto world = std::make_shared<World>();
    Scenario scenario = locking(world, "lock and hold, four waiters only want to know");
    scenario.operation = [world] { world->lock->lock(); };
    scenario.nothing_owed_at_the_end = false;
    const Job waiter = [world] { return only_ask(*world->lock); };
    scenario.late = {waiter, waiter, waiter, waiter};
    return scenario;
}

/// A barger takes the lock and ends in order, which wakes only those that sleep on its
/// beacon: nobody does. The one that was woken by unlock() is told of the death, and tells all.
inline Scenario woken_waiter_and_barger_that_leaves() {
    const auto world = std::make_shared<World>();
    Scenario scenario = woken("lock: woken, and told of a death, two asleep behind", world);
    scenario.operation = [world] { only_ask(*world->lock); };
    scenario.behind = {[world] { return only_ask(*world->lock); },
                       [world] { return only_ask(*world->lock); }};
    scenario.wake = [world] {
        world->lock->unlock();
        std::thread([world] { world->lock->lock(); }).join();
    };
    return scenario;
}

inline Pair two_lockers(Pair::Order order) {
    const auto world = std::make_shared<World>();
    Pair pair;
    pair.name = "lock/lock";
    pair.order = order;
    pair.set_up = [world] { world->lock.emplace(); };
    pair.prepare_a = [world] { use(*world->lock); };
    pair.prepare_b = pair.prepare_a;
    pair.a = [world] {
        world->lock->lock();
        world->lock->unlock();
    };
    pair.b = [world] { return use(*world->lock); };
    pair.check = [world](PairRound& round) {
        static_cast<void>(round.b_ends("B waits for ever"));
        require(try_use(*world->lock), "the lock is stuck");
    };
    pair.state = [world] { return world->lock->to_string(); };
    return pair;
}

} // namespace multifork::test::crash::lock_scenarios
