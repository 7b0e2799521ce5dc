#pragma once

#include "crash/lease_world.hpp"

// A process dies in put() or get() of a JoinableQueue, or while it takes over what a dead worker
// had. An item that was put is delivered, whole, until somebody has said that it is done; tries()
// counts; whoever sleeps is woken.

namespace multifork::test::crash::lease_scenarios {

// ---- put

template <class Kind>
void account_for_put(const Shared<Kind>& world, const Round& round,
                     const typename World<Kind>::Got& got) {
    world->also_put(from_victim);
    if (!round.finished() && !got.contains(from_victim))
        world->forget(from_victim);
    world->expect_done(got);
}

template <class Kind>
Scenario put_alone() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = at_queue<Kind>(world, "task put, alone", 1);
    scenario.operation = [world] { world->queue->put(Kind::make(from_victim)); };
    scenario.check = [world](Round& round) {
        world->put(from_test);
        account_for_put<Kind>(world, round, world->work_off());
    };
    return scenario;
}

template <class Kind>
Scenario put_with_workers_asleep() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = at_queue<Kind>(world, "task put, two workers asleep", 0);
    scenario.operation = [world] { world->queue->put(Kind::make(from_victim)); };
    scenario.early = {world->worker(), world->worker()};
    scenario.nothing_owed_at_the_end = true;
    scenario.check = [world](Round& round) {
        require(await([&] { return world->queue->empty(); }),
                "an item is in the queue, and nobody was woken for it");
        world->put(from_test);
        world->put(from_test + 1);
        account_for_put<Kind>(world, round, world->work_off(results<Kind>(round)));
    };
    return scenario;
}

// ---- get

/// Item 1 is delivered again with tries 2 if it was leased to the victim.
template <class Kind>
void account_for_get(const Shared<Kind>& world, const Round& round,
                     const typename World<Kind>::Got& got, std::uint64_t item = 1) {
    const auto found = got.find(item);
    if (round.finished() || (found != got.end() && found->second == 2))
        world->expect_tries(item, 2);
    world->expect_done(got);
}

template <class Kind>
Scenario get_alone() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = at_queue<Kind>(world, "task get, alone", 2);
    scenario.operation = [world] { world->lease.emplace(world->queue->get()); };
    scenario.at_kill = [world] { world->see_whether_leased(); };
    scenario.check = [world](Round& round) {
        require(!round.finished() || world->victim_has_it, "get() had returned");
        world->put(from_test);
        world->expect_tries(1, world->victim_has_it ? 2 : 1);
        world->expect_done(world->work_off());
    };
    return scenario;
}

template <class Kind>
Scenario get_with_producers_asleep() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = at_queue<Kind>(world, "task get, two producers asleep", world->capacity);
    scenario.operation = [world] { world->lease.emplace(world->queue->get()); };
    scenario.early = {world->producer(from_partner), world->producer(from_partner + 1)};
    scenario.check = [world](Round& round) {
        require(await([&] { return world->queue->full() || round.partners_done() == 2; }),
                "there is room, and nobody was woken for it");
        world->also_put(from_partner);
        world->also_put(from_partner + 1);
        typename World<Kind>::Got got;
        require(await([&] {
                    const bool done = round.partners_done() == 2;
                    got = world->work_off(std::move(got));
                    return done;
                }),
                "a producer sleeps on although there is room");
        account_for_get<Kind>(world, round, got);
    };
    return scenario;
}

/// The item that the victim has leased is for the worker, when the victim is dead; then the joiner
/// goes home.
template <class Kind>
Scenario get_with_a_worker_that_comes() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = at_queue<Kind>(world, "task get, a worker and a joiner come", 1);
    scenario.operation = [world] { world->lease.emplace(world->queue->get()); };
    scenario.late = {world->worker(), world->joiner()};
    scenario.check = [world](Round& round) {
        account_for_get<Kind>(world, round, results<Kind>(round));
    };
    return scenario;
}

template <class Kind>
Scenario get_woken() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = at_queue<Kind>(world, "task get, woken, one asleep behind", 0);
    scenario.operation = [world] { world->lease.emplace(world->queue->get()); };
    scenario.behind = {world->worker()};
    scenario.wake = [world] { world->put(7); };
    scenario.check = [world](Round& round) {
        // The victim has got it, and is dead: it is for the one behind.
        account_for_get<Kind>(world, round, world->work_off(results<Kind>(round)), 7);
    };
    return scenario;
}

template <class Kind>
Scenario get_going_to_sleep() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = at_queue<Kind>(world, "task get, going to sleep, another arrives", 0);
    scenario.operation = [world] { world->lease.emplace(world->queue->get()); };
    scenario.late = {world->worker()};
    scenario.check = [world](Round& round) {
        world->put(7);
        world->expect_done(results<Kind>(round));
    };
    return scenario;
}

/// What a dead worker had is taken over by the victim, which dies in that.
template <class Kind>
Scenario redelivery() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = at_queue<Kind>(world, "redelivery to one that dies", 2);
    scenario.set_up = [world] {
        world->fresh(2);
        world->kill_a_worker_with_an_item();
        world->kill_a_worker_with_an_item();
    };
    scenario.operation = [world] { world->lease.emplace(world->queue->get()); };
    scenario.at_kill = [world] { world->see_whether_leased(); };
    scenario.check = [world](Round&) {
        // 1 was leased twice before, as what comes back comes first.
        world->expect_tries(1, world->victim_has_it ? 4 : 3);
        world->expect_done(world->work_off());
    };
    return scenario;
}

/// The same, with a worker that comes.
template <class Kind>
Scenario redelivery_with_a_worker() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = at_queue<Kind>(world, "redelivery to one that dies, a worker comes", 1);
    scenario.set_up = [world] {
        world->fresh(1);
        world->kill_a_worker_with_an_item();
    };
    scenario.operation = [world] { world->lease.emplace(world->queue->get()); };
    scenario.late = {world->worker()};
    scenario.check = [world](Round& round) {
        const auto got = results<Kind>(round);
        const auto found = got.find(1);
        world->expect_tries(1, found != got.end() && found->second == 3 ? 3 : 2);
        world->expect_done(got);
    };
    return scenario;
}

} // namespace multifork::test::crash::lease_scenarios
