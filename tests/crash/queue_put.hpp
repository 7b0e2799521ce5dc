#pragma once

#include "crash/queue_world.hpp"

// A producer dies in put(). The item is in the queue whole, or not at all; put() that has returned
// has put it; and whoever sleeps is woken if there is something for it.

namespace multifork::test::crash {

template <class Kind>
using SharedQueue = std::shared_ptr<QueueWorld<Kind>>;

/// The victim puts into a queue that holds `items`.
template <class Kind>
Scenario putting(const SharedQueue<Kind>& world, const char* name, std::uint64_t items) {
    Scenario scenario;
    scenario.name = std::string(name) + ", " + Kind::what;
    scenario.set_up = [world, items] { world->fresh(items); };
    scenario.prepare = [world] { world->warm_up(); };
    scenario.operation = [world] { world->queue->put(Kind::make(from_victim)); };
    scenario.state = [world] { return world->queue->to_string(); };
    scenario.nothing_owed_at_the_end = true;
    return scenario;
}

/// The victim's item may be missing if it died in put().
template <class Kind>
void account(const SharedQueue<Kind>& world, const Round& round, const Numbers& got) {
    world->also_put(from_victim);
    if (!round.finished())
        world->may_be_lost(from_victim);
    world->expect_all_accounted_for(got);
    world->expect_no_memory_lost();
    world->expect_it_works();
    world->expect_no_memory_lost();
}

template <class Kind>
Scenario put_alone() {
    const auto world = std::make_shared<QueueWorld<Kind>>();
    Scenario scenario = putting<Kind>(world, "put, alone", 1);
    scenario.check = [world](Round& round) {
        world->put_extra(); // right behind the dead one's slot
        account<Kind>(world, round, world->drain());
    };
    return scenario;
}

template <class Kind>
Scenario put_with_consumers_asleep() {
    const auto world = std::make_shared<QueueWorld<Kind>>();
    Scenario scenario = putting<Kind>(world, "put, two consumers asleep", 0);
    scenario.early = {world->consumer(), world->consumer()};
    scenario.check = [world](Round& round) {
        require(await([&] { return world->queue->empty(); }),
                "an item is in the queue, and nobody was woken for it");
        world->put_extra();
        world->put_extra();
        Numbers got{round.result_of(0, "a consumer sleeps on beside items"),
                    round.result_of(1, "a consumer sleeps on beside items")};
        for (const std::uint64_t n : world->drain())
            got.push_back(n);
        account<Kind>(world, round, got);
    };
    return scenario;
}

/// The bell wakes whoever sleeps first, here somebody whom the queue does not concern: who hears it
/// tells the others.
template <class Kind>
Scenario put_with_a_stranger_asleep() {
    const auto world = std::make_shared<QueueWorld<Kind>>();
    Scenario scenario = putting<Kind>(world, "put, a stranger and a consumer asleep", 0);
    scenario.early = {world->stranger(), world->consumer()};
    scenario.check = [world](Round& round) {
        require(await([&] { return world->queue->empty(); }),
                "an item is in the queue, and only a stranger was woken");
        world->put_extra();
        world->release_stranger();
        static_cast<void>(round.result_of(0, "the stranger sleeps on"));
        Numbers got{round.result_of(1, "a consumer sleeps on beside items")};
        for (const std::uint64_t n : world->drain())
            got.push_back(n);
        account<Kind>(world, round, got);
    };
    return scenario;
}

/// The queue is full; the victim sleeps first in line, is woken for the room that there is, and
/// dies.
template <class Kind>
Scenario put_woken() {
    const auto world = std::make_shared<QueueWorld<Kind>>();
    Scenario scenario = putting<Kind>(world, "put, woken for room, one asleep behind", 3);
    scenario.behind = {world->producer(from_partner)};
    scenario.wake = [world] {
        require(world->queue->try_get().has_value(), "a full queue gives nothing");
    };
    scenario.check = [world](Round& round) {
        require(await([&] { return world->queue->full() || round.partners_done() == 1; }),
                "there is room, and nobody was woken for it");
        Numbers got = world->drain_until_done(round);
        got.push_back(1);
        world->also_put(from_partner);
        account<Kind>(world, round, got);
    };
    return scenario;
}

template <class Kind>
Scenario put_going_to_sleep() {
    const auto world = std::make_shared<QueueWorld<Kind>>();
    Scenario scenario = putting<Kind>(world, "put, going to sleep, another arrives", 3);
    scenario.late = {world->producer(from_partner)};
    scenario.check = [world](Round& round) {
        Numbers got;
        require(world->queue->full(), "the queue is not full any more");
        const auto first = world->queue->try_get();
        require(first.has_value(), "a full queue gives nothing");
        got.push_back(world->checked(*first));
        require(await([&] { return round.partners_done() == 1; }),
                "there is room, and the sleeper was not woken for it");
        for (const std::uint64_t n : world->drain())
            got.push_back(n);
        world->also_put(from_partner);
        account<Kind>(world, round, got);
    };
    return scenario;
}

} // namespace multifork::test::crash
