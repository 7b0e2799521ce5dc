#pragma once

#include "crash/harness/pair.hpp"
#include "crash/harness/scenario.hpp"
#include "support/leftovers.hpp"

#include <multifork/core/condition_cell.hpp>
#include <multifork/error.hpp>
#include <multifork/sync/condition.hpp>
#include <multifork/sync/lock.hpp>

#include <memory>
#include <optional>
#include <thread>

// A process dies in wait() or notify(). Nobody hangs, and a notification that was given to the dead
// goes to another waiter.

namespace multifork::test::crash::condition_scenarios {

struct World {
    std::optional<Lock> lock;
    std::optional<Condition> condition;
};
using Shared = std::shared_ptr<World>;

inline bool owner_is_dead(const Lock& lock) {
    const auto owner = lock.owner();
    return owner && !owner->alive;
}

inline void lock_surely(Lock& lock) {
    for (;;) {
        try {
            return lock.lock();
        } catch (const OwnerDied&) {
            static_cast<void>(lock.recover());
        }
    }
}

/// Waits for one notification.
inline Job waiter(const Shared& world) {
    return [world] {
        lock_surely(*world->lock);
        try {
            world->condition->wait(*world->lock);
            world->lock->unlock();
        } catch (const OwnerDied&) {
            static_cast<void>(world->lock->recover());
        }
        return std::uint64_t{1};
    };
}

/// Everybody else still gets on: with a notification for each that waits.
inline void all_end(World& world, Round& round) {
    require(await([&] {
                world.condition->notify_all();
                if (owner_is_dead(*world.lock))
                    static_cast<void>(world.lock->recover());
                return round.partners_done() == round.partner_count();
            }),
            "a waiter cannot be notified any more");
    require(world.condition->waiters() == 0, "a waiter is left over");
}

inline Scenario notifying(const char* name, const Shared& world, std::size_t waiters,
                          std::size_t notified, Action operation) {
    Scenario scenario;
    scenario.name = name;
    scenario.set_up = [world] {
        world->lock.emplace();
        world->condition.emplace();
    };
    scenario.prepare = [world] {
        const std::unique_lock hold(*world->lock);
        static_cast<void>(world->condition->wait_for(*world->lock, std::chrono::seconds(0)));
    };
    scenario.operation = std::move(operation);
    scenario.early.assign(waiters, waiter(world));
    scenario.nothing_owed_at_the_end = true;
    scenario.check = [world, notified](Round& round) {
        if (round.finished()) {
            require(await([&] { return round.partners_done() >= notified; }),
                    "notify() returned, and somebody sleeps on");
            require(round.partners_done() == notified, "more were woken than were notified");
        }
        all_end(*world, round);
    };
    scenario.state = [world] {
        return world->condition->to_string() + " " + world->lock->to_string();
    };
    return scenario;
}

inline Scenario notify_one() {
    const auto world = std::make_shared<World>();
    return notifying("condition: notify_one, two asleep", world, 2, 1,
                     [world] { world->condition->notify_one(); });
}

inline Scenario notify_two() {
    const auto world = std::make_shared<World>();
    return notifying("condition: notify(2), three asleep", world, 3, 2,
                     [world] { world->condition->notify(2); });
}

inline Scenario notify_all() {
    const auto world = std::make_shared<World>();
    return notifying("condition: notify_all, three asleep", world, 3, 3,
                     [world] { world->condition->notify_all(); });
}

/// The victim is notified. Until it has the lock, its notification must go to another if it dies.
inline Scenario woken() {
    const auto world = std::make_shared<World>();
    Scenario scenario =
        notifying("condition: wait, notified, two asleep behind", world, 0, 0, [world] {
            world->lock->lock();
            world->condition->wait(*world->lock);
        });
    scenario.nothing_owed_at_the_end = false;
    scenario.wake = [world] { world->condition->notify_one(); };
    scenario.behind = {waiter(world), waiter(world)};
    scenario.check = [world](Round& round) {
        require(await([&] { return round.partners_done() >= 1 || owner_is_dead(*world->lock); }),
                "the notification of the dead was lost");
        all_end(*world, round);
    };
    return scenario;
}

/// The same while the victim cannot have the lock.
inline Scenario notified_without_the_lock(const char* name, const Shared& world) {
    Scenario scenario = notifying(name, world, 0, 0, [world] {
        world->lock->lock();
        world->condition->wait(*world->lock);
    });
    scenario.wake = [world] {
        world->lock->lock();
        world->condition->notify_one();
    };
    scenario.behind = {waiter(world), waiter(world)};
    scenario.check = [world](Round& round) {
        world->lock->unlock();
        require(await([&] { return round.partners_done() >= 1; }),
                "the notification of the dead was lost");
        all_end(*world, round);
    };
    return scenario;
}

inline Scenario notified_and_locked_out() {
    return notified_without_the_lock("condition: notified, waiting for the lock",
                                     std::make_shared<World>());
}

/// The lock lies in another space: when the victim dies, no bell rings where the others sleep.
inline Scenario notified_and_locked_out_elsewhere() {
    const auto world = std::make_shared<World>();
    Scenario scenario =
        notified_without_the_lock("condition: notified, waiting for a named lock", world);
    scenario.set_up = [world] {
        world->lock.reset();
        world->lock.emplace(Lock::create(unique_name("elsewhere")));
        world->condition.emplace();
    };
    return scenario;
}

inline Scenario going_to_sleep() {
    const auto world = std::make_shared<World>();
    Scenario scenario =
        notifying("condition: wait, going to sleep, two arrive", world, 0, 0, [world] {
            world->lock->lock();
            world->condition->wait(*world->lock);
        });
    scenario.late = {waiter(world), waiter(world)};
    scenario.check = [world](Round& round) {
        if (owner_is_dead(*world->lock))
            static_cast<void>(world->lock->recover());
        require(await([&] { return world->condition->waiters() == 2; }), "a waiter does not wait");
        world->condition->notify(2); // none of them for the dead
        round.expect_all_done("a notification went to the dead");
    };
    return scenario;
}

/// A timed wait that ends by itself disturbs nobody, and takes no notification with it.
inline Scenario timing_out() {
    const auto world = std::make_shared<World>();
    Scenario scenario = notifying("condition: wait_for(0), one asleep", world, 1, 1, [world] {
        world->lock->lock();
        static_cast<void>(world->condition->wait_for(*world->lock, std::chrono::seconds(0)));
        world->lock->unlock();
        world->condition->notify_one();
    });
    return scenario;
}

// ---- on the bare cell, where the places can be set up

struct Bare {
    arena::Object object;
    core::ConditionCell* cell = nullptr;
    std::uint32_t place = 0;
    [[nodiscard]] liveness::Domain& domain() const { return object.space().domain(); }
};

inline void make_bare(Bare& bare) {
    bare.object =
        arena::Object::make(sizeof(core::ConditionCell), arena::Kind::condition, [](std::byte*) {});
    bare.cell = reinterpret_cast<core::ConditionCell*>(bare.object.data());
}

inline Pair with_a_waiter(const char* name, Pair::Order order, const std::shared_ptr<Bare>& bare) {
    Pair pair;
    pair.name = name;
    pair.order = order;
    pair.set_up = [bare] { make_bare(*bare); };
    pair.prepare_a = [bare] { static_cast<void>(liveness::enter(bare->domain())); };
    pair.prepare_b = [bare] {
        bare->place = core::condition_enter(*bare->cell, bare->domain()).value();
    };
    pair.b = [bare] {
        static_cast<void>(core::condition_sleep(*bare->cell, bare->domain(), bare->place,
                                                platform::Deadline::never()));
        return std::uint64_t{1};
    };
    pair.state = [bare] {
        return std::to_string(core::condition_waiters(*bare->cell, bare->domain())) + " waiting";
    };
    return pair;
}

inline Pair notify_and_wait(Pair::Order order) {
    const auto bare = std::make_shared<Bare>();
    Pair pair = with_a_waiter("condition: notify/wait", order, bare);
    pair.a = [bare] { core::condition_notify(*bare->cell, bare->domain(), 1); };
    pair.b_before_the_kill = true;
    pair.check = [bare](PairRound& round) {
        if (!round.a_finished() && round.b_rests() == Place::asleep)
            core::condition_notify(*bare->cell, bare->domain(), 1);
        static_cast<void>(round.b_ends("B was notified, and sleeps on"));
    };
    return pair;
}

/// Somebody has died with a notification. A and B both may be the one who hands it on, to B; A
/// dies.
inline Pair hand_on(Pair::Order order) {
    const auto bare = std::make_shared<Bare>();
    Pair pair = with_a_waiter("condition: hand on", order, bare);
    pair.prepare_b = [bare, enter = pair.prepare_b] {
        enter();
        liveness::ThreadWord dead = liveness::nobody;
        std::thread([&] { dead = liveness::enter(bare->domain()); }).join();
        bare->cell->places[5].word.store(dead | liveness::waiters_bit);
        bare->cell->used.store(6);
    };
    pair.a = [bare] { core::condition_notify(*bare->cell, bare->domain(), 0); };
    pair.check = [](PairRound& round) {
        static_cast<void>(round.b_ends("the notification of the dead was lost"));
    };
    return pair;
}

} // namespace multifork::test::crash::condition_scenarios
