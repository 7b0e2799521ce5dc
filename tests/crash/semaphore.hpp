#pragma once

#include "crash/harness/pair.hpp"
#include "crash/harness/scenario.hpp"

#include <multifork/sync/semaphore.hpp>

#include <memory>
#include <optional>

// A process dies in acquire() or release(), or while it holds permits. The permits of the dead come
// back, to sleepers too; none is doubled.

namespace multifork::test::crash::semaphore_scenarios {

struct World {
    std::optional<Semaphore> semaphore;
    std::int64_t permits = 1;
};
using Shared = std::shared_ptr<World>;

inline std::uint64_t use(Semaphore& semaphore) {
    semaphore.acquire();
    semaphore.release();
    return 1;
}

/// The victim acquires; when it is dead, all the permits are there.
inline Scenario acquiring(const char* name, std::int64_t permits, const Shared& world) {
    world->permits = permits;
    Scenario scenario;
    scenario.name = name;
    scenario.set_up = [world] { world->semaphore.emplace(world->permits); };
    scenario.prepare = [world] { static_cast<void>(world->semaphore->value()); };
    scenario.operation = [world] { world->semaphore->acquire(); };
    scenario.check = [world](Round& round) {
        round.expect_all_done("a waiter sleeps on beside a permit");
        Semaphore& semaphore = *world->semaphore;
        const auto limit = std::chrono::nanoseconds(hang_limit_ns());
        for (std::int64_t i = 0; i < world->permits; ++i)
            require(semaphore.try_acquire_for(limit), "a permit is lost");
        require(!semaphore.try_acquire(), "a permit was doubled");
        require(semaphore.value() == 0, "value() counts wrong");
        for (std::int64_t i = 0; i < world->permits; ++i)
            semaphore.release();
        require(semaphore.value() == world->permits, "value() counts wrong after release()");
    };
    scenario.state = [world] { return world->semaphore->to_string(); };
    return scenario;
}

inline Job user(const Shared& world) {
    return [world] { return use(*world->semaphore); };
}

inline Scenario acquire_alone() {
    return acquiring("acquire, alone, 2 permits", 2, std::make_shared<World>());
}

inline Scenario acquire_of_the_last() {
    const auto world = std::make_shared<World>();
    Scenario scenario = acquiring("acquire of the last permit, two arrive", 1, world);
    scenario.late = {user(world), user(world)};
    return scenario;
}

inline Scenario second_acquire() {
    const auto world = std::make_shared<World>();
    Scenario scenario = acquiring("acquire of a second permit, two arrive", 2, world);
    scenario.prepare = [world] { world->semaphore->acquire(); };
    scenario.late = {user(world), user(world)};
    return scenario;
}

inline Scenario release_with_sleepers() {
    const auto world = std::make_shared<World>();
    Scenario scenario = acquiring("release, two asleep", 1, world);
    scenario.prepare = [world] { world->semaphore->acquire(); };
    scenario.operation = [world] { world->semaphore->release(); };
    scenario.nothing_owed_at_the_end = true;
    scenario.early = {user(world), user(world)};
    return scenario;
}

inline Scenario release_of_two() {
    const auto world = std::make_shared<World>();
    Scenario scenario = acquiring("release(2), two asleep", 2, world);
    scenario.prepare = [world] {
        world->semaphore->acquire();
        world->semaphore->acquire();
    };
    scenario.operation = [world] { world->semaphore->release(2); };
    scenario.nothing_owed_at_the_end = true;
    scenario.early = {user(world), user(world)};
    return scenario;
}

/// A signal: who releases holds nothing. The permit is there or not; the sleeper that it is for is
/// woken.
inline Scenario release_as_a_signal() {
    const auto world = std::make_shared<World>();
    Scenario scenario = acquiring("release by who holds none, one asleep", 0, world);
    scenario.operation = [world] { world->semaphore->release(); };
    scenario.early = {[world] {
        world->semaphore->acquire();
        return std::uint64_t{1};
    }};
    scenario.check = [world](Round& round) {
        if (!round.finished() && world->semaphore->value() == 0 && round.partners_done() == 0) {
            // Not released, or the sleeper is just taking it: one more is at most one too many.
            world->semaphore->release();
            static_cast<void>(round.result_of(0, "a sleeper was not woken by release()"));
        } else {
            static_cast<void>(round.result_of(0, "a permit is there, and its sleeper sleeps on"));
            require(world->semaphore->value() == 0, "a permit was doubled");
        }
    };
    return scenario;
}

/// The test holds the only permit; the victim sleeps first in line and is woken for it.
inline Scenario woken() {
    const auto world = std::make_shared<World>();
    Scenario scenario = acquiring("acquire, woken, two asleep behind", 1, world);
    scenario.set_up = [world] {
        world->semaphore.emplace(1);
        world->semaphore->acquire();
    };
    scenario.operation = [world] {
        world->semaphore->acquire();
        world->semaphore->release();
    };
    scenario.nothing_owed_at_the_end = true;
    scenario.wake = [world] { world->semaphore->release(); };
    scenario.behind = {user(world), user(world)};
    return scenario;
}

inline Scenario going_to_sleep() {
    const auto world = std::make_shared<World>();
    Scenario scenario = acquiring("acquire, going to sleep, one arrives", 1, world);
    scenario.set_up = [world] {
        world->semaphore.emplace(1);
        world->semaphore->acquire();
    };
    scenario.late = {user(world)};
    scenario.check = [world, then = scenario.check](Round& round) {
        world->semaphore->release();
        then(round);
    };
    return scenario;
}

inline Pair acquire_and_acquire(Pair::Order order) {
    const auto world = std::make_shared<World>();
    Pair pair;
    pair.name = "acquire/acquire";
    pair.order = order;
    pair.set_up = [world] { world->semaphore.emplace(1); };
    pair.prepare_a = [world] { static_cast<void>(world->semaphore->value()); };
    pair.prepare_b = pair.prepare_a;
    pair.a = [world] { world->semaphore->acquire(); };
    pair.b = [world] { return use(*world->semaphore); };
    pair.check = [world](PairRound& round) {
        static_cast<void>(round.b_ends("the permit of the dead did not come back"));
        require(world->semaphore->value() == 1, "the permits do not add up");
    };
    pair.state = [world] { return world->semaphore->to_string(); };
    return pair;
}

} // namespace multifork::test::crash::semaphore_scenarios
