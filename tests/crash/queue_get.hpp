#pragma once

#include "crash/queue_put.hpp"

// A consumer dies in get(). The item is still queued, or died with the consumer; get() that has
// returned has taken it; and whoever sleeps is woken if there is something for it.

namespace multifork::test::crash {

template <class Kind>
Scenario getting(const SharedQueue<Kind>& world, const char* name, std::uint64_t items) {
    Scenario scenario = putting<Kind>(world, name, items);
    scenario.operation = [world] { static_cast<void>(world->queue->get()); };
    return scenario;
}

/// Item 1 may be the one that the victim took.
template <class Kind>
void account_for_get(const SharedQueue<Kind>& world, const Round& round, const Numbers& got,
                     std::uint64_t item = 1) {
    require(!round.finished() || std::find(got.begin(), got.end(), item) == got.end(),
            "what get() had returned was delivered once more");
    world->may_be_lost(item);
    world->expect_all_accounted_for(got);
    world->expect_no_memory_lost();
    world->expect_it_works();
    world->expect_no_memory_lost();
}

template <class Kind>
Scenario get_alone() {
    const auto world = std::make_shared<QueueWorld<Kind>>();
    Scenario scenario = getting<Kind>(world, "get, alone", 2);
    scenario.check = [world](Round& round) {
        world->put_extra();
        account_for_get<Kind>(world, round, world->drain());
    };
    return scenario;
}

template <class Kind>
Scenario get_with_producers_asleep() {
    const auto world = std::make_shared<QueueWorld<Kind>>();
    Scenario scenario = getting<Kind>(world, "get, two producers asleep", 3);
    scenario.early = {world->producer(from_partner), world->producer(from_partner + 1)};
    scenario.check = [world](Round& round) {
        require(await([&] { return world->queue->full() || round.partners_done() == 2; }),
                "there is room, and nobody was woken for it");
        world->also_put(from_partner);
        world->also_put(from_partner + 1);
        account_for_get<Kind>(world, round, world->drain_until_done(round));
    };
    return scenario;
}

/// The queue is empty; the victim sleeps first in line, is woken for an item, and dies.
template <class Kind>
Scenario get_woken() {
    const auto world = std::make_shared<QueueWorld<Kind>>();
    Scenario scenario = getting<Kind>(world, "get, woken for an item, one asleep behind", 0);
    scenario.behind = {world->consumer()};
    scenario.wake = [world] { world->put(7); };
    scenario.check = [world](Round& round) {
        require(await([&] { return world->queue->empty(); }),
                "an item is in the queue, and nobody was woken for it");
        world->put_extra();
        Numbers got{round.result_of(0, "a consumer sleeps on beside an item")};
        for (const std::uint64_t n : world->drain())
            got.push_back(n);
        account_for_get<Kind>(world, round, got, 7);
    };
    return scenario;
}

/// The same with a second item, for which nobody was woken: the flag was clear. Who was woken for
/// the first one wakes the next for the second.
template <class Kind>
Scenario get_woken_beside_a_second_item() {
    const auto world = std::make_shared<QueueWorld<Kind>>();
    Scenario scenario = getting<Kind>(world, "get, woken, two items, one asleep behind", 0);
    scenario.behind = {world->consumer()};
    scenario.wake = [world] {
        world->put(7);
        world->put(8);
    };
    scenario.check = [world](Round& round) {
        Numbers got{round.result_of(0, "a consumer sleeps on beside an item")};
        for (const std::uint64_t n : world->drain())
            got.push_back(n);
        account_for_get<Kind>(world, round, got, 7);
    };
    return scenario;
}

template <class Kind>
Scenario get_going_to_sleep() {
    const auto world = std::make_shared<QueueWorld<Kind>>();
    Scenario scenario = getting<Kind>(world, "get, going to sleep, another arrives", 0);
    scenario.late = {world->consumer()};
    scenario.check = [world](Round& round) {
        world->put(7);
        Numbers got{round.result_of(0, "an item was put, and the sleeper was not woken for it")};
        account_for_get<Kind>(world, round, got, from_victim);
    };
    return scenario;
}

} // namespace multifork::test::crash
