#pragma once

#include "crash/harness/pair.hpp"
#include "crash/harness/scenario.hpp"

#include <multifork/sync/event.hpp>

#include <memory>
#include <optional>

// A process dies in set(), clear() or wait(). The event is set or it is not; if it was set, nobody
// who waited sleeps on.

namespace multifork::test::crash::event_scenarios {

struct World {
    std::optional<Event> event;
};
using Shared = std::shared_ptr<World>;

inline Job waiter(const Shared& world) {
    return [world] {
        world->event->wait();
        return std::uint64_t{1};
    };
}

inline Scenario setting(const char* name, const Shared& world) {
    Scenario scenario;
    scenario.name = name;
    scenario.set_up = [world] { world->event.emplace(); };
    scenario.prepare = [world] { world->event->set(), world->event->clear(); };
    scenario.operation = [world] { world->event->set(); };
    scenario.check = [world](Round& round) {
        if (!round.finished() && !world->event->is_set())
            world->event->set();
        require(world->event->is_set(), "set() returned, and the event is not set");
        round.expect_all_done("a waiter sleeps on beside an event that is set");
        world->event->clear();
        require(!world->event->is_set(), "clear() returned, and the event is set");
    };
    scenario.state = [world] { return world->event->to_string(); };
    scenario.nothing_owed_at_the_end = true;
    return scenario;
}

inline Scenario set_alone() {
    return setting("event: set, alone", std::make_shared<World>());
}

inline Scenario set_with_sleepers() {
    const auto world = std::make_shared<World>();
    Scenario scenario = setting("event: set, three asleep", world);
    scenario.early = {waiter(world), waiter(world), waiter(world)};
    return scenario;
}

/// Who slept when the event was set passes, although it is cleared at once.
inline Scenario pulse_with_sleepers() {
    const auto world = std::make_shared<World>();
    Scenario scenario = setting("event: set and clear, three asleep", world);
    scenario.operation = [world] {
        world->event->set();
        world->event->clear();
    };
    scenario.early = {waiter(world), waiter(world), waiter(world)};
    scenario.check = [world](Round& round) {
        if (!round.finished())
            world->event->set();
        round.expect_all_done("a waiter missed a set() before a clear()");
    };
    return scenario;
}

inline Scenario woken() {
    const auto world = std::make_shared<World>();
    Scenario scenario = setting("event: wait, woken, two asleep behind", world);
    scenario.operation = [world] { world->event->wait(); };
    scenario.wake = [world] { world->event->set(); };
    scenario.behind = {waiter(world), waiter(world)};
    return scenario;
}

inline Scenario going_to_sleep() {
    const auto world = std::make_shared<World>();
    Scenario scenario = setting("event: wait, going to sleep, two arrive", world);
    scenario.operation = [world] { world->event->wait(); };
    scenario.late = {waiter(world), waiter(world)};
    return scenario;
}

inline Pair set_and_wait(Pair::Order order) {
    const auto world = std::make_shared<World>();
    Pair pair;
    pair.name = "event: set/wait";
    pair.order = order;
    pair.set_up = [world] { world->event.emplace(); };
    pair.prepare_a = [world] { world->event->set(), world->event->clear(); };
    pair.prepare_b = pair.prepare_a;
    pair.a = [world] { world->event->set(); };
    pair.b = [world] {
        world->event->wait();
        return std::uint64_t{1};
    };
    pair.b_before_the_kill = true;
    pair.check = [world](PairRound& round) {
        if (!world->event->is_set()) {
            require(!round.a_finished(), "set() returned, and the event is not set");
            world->event->set();
        }
        static_cast<void>(round.b_ends("B sleeps on beside an event that is set"));
    };
    pair.state = [world] { return world->event->to_string(); };
    return pair;
}

} // namespace multifork::test::crash::event_scenarios
