#pragma once

#include "crash/harness/pair.hpp"
#include "crash/harness/scenario.hpp"

#include <multifork/error.hpp>
#include <multifork/sync/rlock.hpp>

#include <memory>
#include <optional>

// A process dies in lock(), unlock() or recover() of a lock that it holds more than once.
// Afterwards the lock is free, or its owner is known to be dead, and one recover() makes it free.

namespace multifork::test::crash::rlock_scenarios {

struct World {
    std::optional<RLock> lock;
};
using Shared = std::shared_ptr<World>;

/// Locks twice and unlocks twice, or finds the owner dead and recovers.
inline std::uint64_t use(RLock& lock) {
    for (;;) {
        try {
            lock.lock();
            lock.lock();
            require(lock.depth() == 2, "who takes the lock begins with the depth of the dead");
            lock.unlock();
            lock.unlock();
            return lock.depth() == 0;
        } catch (const OwnerDied&) {
            static_cast<void>(lock.recover());
        }
    }
}

inline Scenario locking(const char* name, const Shared& world) {
    Scenario scenario;
    scenario.name = name;
    scenario.set_up = [world] { world->lock.emplace(); };
    scenario.prepare = [world] { use(*world->lock); };
    scenario.operation = [world] {
        world->lock->lock();
        world->lock->lock();
        world->lock->unlock();
        world->lock->unlock();
    };
    scenario.check = [world](Round& round) {
        for (std::size_t i = 0; i < round.partner_count(); ++i)
            require(round.result_of(i, "a waiter was forgotten") == 1, "unlocked too seldom");
        require(await([&] {
                    try {
                        return world->lock->try_lock();
                    } catch (const OwnerDied&) {
                        return world->lock->recover() && world->lock->try_lock();
                    }
                }),
                "the lock is stuck");
        world->lock->unlock();
        require(!world->lock->owner(), "the lock is not free");
    };
    scenario.state = [world] { return world->lock->to_string(); };
    scenario.nothing_owed_at_the_end = true;
    return scenario;
}

inline Job user(const Shared& world) {
    return [world] { return use(*world->lock); };
}

inline Scenario twice_with_late_waiters() {
    const auto world = std::make_shared<World>();
    Scenario scenario = locking("rlock: lock and unlock twice, two arrive", world);
    scenario.late = {user(world), user(world)};
    return scenario;
}

inline Scenario unlock_with_sleepers() {
    const auto world = std::make_shared<World>();
    Scenario scenario = locking("rlock: unlock twice, two asleep", world);
    scenario.prepare = [world] { world->lock->lock(), world->lock->lock(); };
    scenario.operation = [world] { world->lock->unlock(), world->lock->unlock(); };
    scenario.early = {user(world), user(world)};
    return scenario;
}

inline Scenario woken() {
    const auto world = std::make_shared<World>();
    Scenario scenario = locking("rlock: woken waiter, two asleep behind", world);
    scenario.set_up = [world] {
        world->lock.emplace();
        world->lock->lock();
    };
    scenario.prepare = [world] { static_cast<void>(world->lock->try_lock()); };
    scenario.wake = [world] { world->lock->unlock(); };
    scenario.behind = {user(world), user(world)};
    return scenario;
}

inline Scenario recovering() {
    const auto world = std::make_shared<World>();
    Scenario scenario = locking("rlock: recover after a death, two arrive", world);
    scenario.set_up = [world] {
        world->lock.emplace();
        do_and_die([world] {
            world->lock->lock();
            world->lock->lock();
        });
    };
    scenario.prepare = [world] { static_cast<void>(world->lock->depth()); };
    scenario.operation = [world] { static_cast<void>(world->lock->recover()); };
    scenario.late = {user(world), user(world)};
    return scenario;
}

inline Pair two_lockers(Pair::Order order) {
    const auto world = std::make_shared<World>();
    Pair pair;
    pair.name = "rlock: two";
    pair.order = order;
    pair.set_up = [world] { world->lock.emplace(); };
    pair.prepare_a = [world] { use(*world->lock); };
    pair.prepare_b = pair.prepare_a;
    pair.a = [world] { use(*world->lock); };
    pair.b = [world] { return use(*world->lock); };
    pair.check = [world](PairRound& round) {
        require(round.b_ends("B waits for ever") == 1, "unlocked too seldom");
        require(!world->lock->owner() || !world->lock->owner()->alive, "the lock is stuck");
    };
    pair.state = [world] { return world->lock->to_string(); };
    return pair;
}

} // namespace multifork::test::crash::rlock_scenarios
