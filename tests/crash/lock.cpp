#include "crash/harness/crash_test.hpp"

#include <multifork/error.hpp>
#include <multifork/sync/lock.hpp>

#include <chrono>
#include <memory>
#include <optional>

// A process dies in lock(), unlock() or recover(). Afterwards the lock is free, or its owner is
// known to be dead; and nobody who waits is forgotten.

using namespace multifork;
using namespace multifork::test::crash;

namespace {

struct World {
    std::optional<Lock> lock;
};
using Shared = std::shared_ptr<World>;

enum : std::uint64_t { took_it = 1, owner_died = 2 };

/// lock and unlock, or find the owner dead and recover.
std::uint64_t use(Lock& lock) {
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

bool try_use(Lock& lock) {
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
Scenario locking(const Shared& world, const char* name) {
    Scenario scenario;
    scenario.name = name;
    scenario.set_up = [world] { world->lock.emplace(); };
    scenario.prepare = [world] { use(*world->lock); };
    scenario.operation = [world] {
        world->lock->lock();
        world->lock->unlock();
    };
    scenario.check = [world](Round& round) {
        for (std::size_t i = 0; i < round.partner_count(); ++i)
            static_cast<void>(round.result_of(i, "a waiter was forgotten"));
        require(try_use(*world->lock), "the lock is stuck");
        require(!world->lock->owner(), "the lock is not free");
    };
    scenario.state = [world] { return world->lock->to_string(); };
    return scenario;
}

Job user(const Shared& world) {
    return [world] { return use(*world->lock); };
}

Scenario alone() {
    return locking(std::make_shared<World>(), "lock and unlock, alone");
}

Scenario with_late_waiters() {
    const auto world = std::make_shared<World>();
    Scenario scenario = locking(world, "lock and unlock, two waiters arrive");
    scenario.late = {user(world), user(world)};
    return scenario;
}

Scenario unlock_with_sleepers() {
    const auto world = std::make_shared<World>();
    Scenario scenario = locking(world, "unlock, two waiters asleep");
    scenario.prepare = [world] { world->lock->lock(); };
    scenario.operation = [world] { world->lock->unlock(); };
    scenario.early = {user(world), user(world)};
    return scenario;
}

/// The test holds the lock; the victim waits for it.
Scenario woken(const char* name, const Shared& world) {
    Scenario scenario = locking(world, name);
    scenario.set_up = [world] {
        world->lock.emplace();
        world->lock->lock();
    };
    scenario.prepare = [world] { static_cast<void>(world->lock->try_lock()); };
    scenario.behind = {user(world), user(world)};
    return scenario;
}

Scenario woken_waiter() {
    const auto world = std::make_shared<World>();
    Scenario scenario = woken("lock: woken waiter, two asleep behind", world);
    scenario.wake = [world] { world->lock->unlock(); };
    return scenario;
}

/// What strands the waiters of a robust pthread mutex.
Scenario woken_waiter_and_barger() {
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

Scenario going_to_sleep() {
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

Scenario recovering() {
    const auto world = std::make_shared<World>();
    Scenario scenario = locking(world, "recover after a death, waiters arrive");
    scenario.set_up = [world] {
        world->lock.emplace();
        Partner dies([world] {
            world->lock->lock();
            return std::uint64_t{1};
        });
        dies.set_out();
        require(dies.await_done(), "the first owner hangs");
    };
    scenario.prepare = [world] { static_cast<void>(world->lock->owner()); };
    scenario.operation = [world] { static_cast<void>(world->lock->recover()); };
    scenario.late = {user(world), user(world)};
    return scenario;
}

/// A thread's end makes the lock's owner dead as well.
Scenario held_by_the_dead() {
    const auto world = std::make_shared<World>();
    Scenario scenario = locking(world, "lock and hold, three waiters asleep or arriving");
    scenario.operation = [world] { world->lock->lock(); };
    scenario.late = {user(world), user(world), user(world)};
    return scenario;
}

Pair two_lockers(Pair::Order order) {
    const auto world = std::make_shared<World>();
    Pair pair;
    pair.name = order == Pair::Order::a_first ? "lock/lock, A first" : "lock/lock, B first";
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

} // namespace

BOOST_AUTO_TEST_SUITE(lock)

MULTIFORK_CRASH_TEST(a_dead_locker_leaves_a_lock_that_works, alone())
MULTIFORK_CRASH_TEST(late_waiters_get_past_a_dead_locker, with_late_waiters())
MULTIFORK_CRASH_TEST(sleepers_are_woken_although_the_unlocker_dies, unlock_with_sleepers())
MULTIFORK_CRASH_TEST(a_dead_woken_waiter_hands_its_wake_up_on, woken_waiter())
MULTIFORK_CRASH_TEST(a_dead_woken_waiter_hands_on_what_a_barger_owes, woken_waiter_and_barger())
MULTIFORK_CRASH_TEST(a_waiter_that_dies_going_to_sleep_disturbs_nobody, going_to_sleep())
MULTIFORK_CRASH_TEST(all_waiters_learn_that_the_owner_died, held_by_the_dead())
MULTIFORK_CRASH_TEST(a_dead_recoverer_can_be_recovered_from, recovering())
MULTIFORK_CRASH_TEST(two_lockers_one_dies, two_lockers(Pair::Order::a_first))
MULTIFORK_CRASH_TEST(two_lockers_the_later_one_dies, two_lockers(Pair::Order::b_first))

BOOST_AUTO_TEST_SUITE_END()
