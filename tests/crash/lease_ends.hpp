#pragma once

#include "crash/lease_world.hpp"

// A process dies in task_done() or give_back(), in join() or close() of a JoinableQueue; and pairs.
// An item is done, or comes again; whoever waits for the last one is woken.

namespace multifork::test::crash::lease_scenarios {

// ---- the end of a lease

/// The victim holds item 1, and ends its lease.
template <class Kind>
Scenario ending(const Shared<Kind>& world, const char* name, std::uint64_t items) {
    Scenario scenario = at_queue<Kind>(world, name, items);
    scenario.prepare = [world] {
        world->warm_up();
        world->lease.emplace(world->queue->get());
        if constexpr (!Shareable<typename Kind::Type>)
            require(Kind::whole(**world->lease, 1), "torn item");
    };
    scenario.operation = [world] { world->lease->task_done(); };
    return scenario;
}

/// Item 1 is done, or comes again.
template <class Kind>
void account_for_done(const Shared<Kind>& world, const Round& round,
                      const typename World<Kind>::Got& got) {
    if (!round.finished() && got.contains(1))
        world->expect_tries(1, 2);
    else
        world->forget(1);
    world->expect_done(got);
}

template <class Kind>
Scenario task_done_alone() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = ending<Kind>(world, "task_done, alone", 2);
    scenario.check = [world](Round& round) {
        account_for_done<Kind>(world, round, world->work_off());
    };
    return scenario;
}

/// The last item: two joiners sleep. If the item comes again, the test does it.
template <class Kind>
Scenario task_done_with_joiners_asleep() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = ending<Kind>(world, "task_done, two joiners asleep", 1);
    scenario.early = {world->joiner(), world->joiner()};
    scenario.nothing_owed_at_the_end = true;
    scenario.check = [world](Round& round) {
        const auto got =
            world->queue->unfinished() > 0 ? world->work_off() : typename World<Kind>::Got{};
        static_cast<void>(round.result_of(0, "all is done, and a joiner sleeps"));
        static_cast<void>(round.result_of(1, "all is done, and a joiner sleeps"));
        account_for_done<Kind>(world, round, got);
    };
    return scenario;
}

/// A closed queue: two workers sleep, because the item may come back.
template <class Kind>
Scenario last_task_done_of_a_closed_queue() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = ending<Kind>(world, "task_done, closed, two workers asleep", 1);
    scenario.early = {world->worker(), world->worker()};
    const auto prepare = scenario.prepare;
    scenario.prepare = [world, prepare] {
        prepare();
        world->queue->close();
    };
    scenario.nothing_owed_at_the_end = true;
    scenario.check = [world](Round& round) {
        const auto got = results<Kind>(round);
        require(!round.finished() || got.empty(), "what was done came again");
        require(got.size() <= 1, "got twice");
        require(world->queue->try_join_for(world->limit()), "join() does not end");
        require(world->queue->unfinished() == 0, "the queue counts wrong");
        world->expect_no_memory_lost();
    };
    return scenario;
}

template <class Kind>
Scenario give_back_with_workers_asleep() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = ending<Kind>(world, "give_back, a worker and a joiner asleep", 1);
    scenario.operation = [world] { world->lease->give_back(); };
    scenario.early = {world->worker(), world->joiner()};
    scenario.nothing_owed_at_the_end = true;
    scenario.check = [world](Round& round) {
        world->expect_tries(1, 2);
        world->expect_done(results<Kind>(round));
    };
    return scenario;
}

// ---- join and close

inline Scenario join_going_to_sleep() {
    const auto world = std::make_shared<World<Plain>>();
    Scenario scenario = at_queue<Plain>(world, "join, going to sleep, another arrives", 1);
    scenario.operation = [world] { world->queue->join(); };
    scenario.late = {world->joiner()};
    scenario.check = [world](Round& round) {
        const auto got = world->work_off();
        static_cast<void>(results<Plain>(round));
        world->expect_done(got);
    };
    return scenario;
}

inline Scenario close_with_sleepers() {
    const auto world = std::make_shared<World<Plain>>();
    Scenario scenario = at_queue<Plain>(world, "close of tasks, two workers asleep", 0);
    scenario.operation = [world] { world->queue->close(); };
    scenario.early = {world->worker(), world->worker()};
    scenario.nothing_owed_at_the_end = true;
    scenario.check = [world](Round& round) {
        require(world->queue->closed() || !round.finished(), "close() had returned");
        if (!world->queue->closed())
            world->queue->close();
        require(round.result_of(0, "a worker sleeps at a closed queue") == was_closed, "?");
        require(round.result_of(1, "a worker sleeps at a closed queue") == was_closed, "?");
    };
    return scenario;
}

// ---- pairs

/// A gets the only item and dies; B gets, anywhere on its way to sleep, and must have the item.
template <class Kind>
Pair get_and_get(Pair::Order order) {
    const auto world = std::make_shared<World<Kind>>();
    Pair pair;
    pair.name = std::string("task get/get, ") + Kind::what;
    pair.order = order;
    pair.set_up = [world] { world->fresh(1); };
    pair.prepare_a = [world] { world->warm_up(); };
    pair.prepare_b = pair.prepare_a;
    pair.a = [world] { world->lease.emplace(world->queue->get()); };
    pair.b = world->worker();
    pair.check = [world](PairRound& round) {
        typename World<Kind>::Got got;
        World<Kind>::add(got, round.b_ends("the item of the dead is there, and B sleeps"));
        if (got.contains(1) && got.at(1) == 2)
            world->expect_tries(1, 2);
        world->expect_done(got);
    };
    pair.state = [world] { return world->queue->to_string(); };
    return pair;
}

/// A does the last item and dies; B joins.
template <class Kind>
Pair task_done_and_join(Pair::Order order) {
    const auto world = std::make_shared<World<Kind>>();
    Pair pair;
    pair.name = std::string("task_done/join, ") + Kind::what;
    pair.order = order;
    pair.set_up = [world] { world->fresh(1); };
    pair.prepare_a = [world] {
        world->warm_up();
        world->lease.emplace(world->queue->get());
    };
    pair.prepare_b = [world] { world->warm_up(); };
    pair.a = [world] { world->lease->task_done(); };
    pair.b = world->joiner();
    pair.b_before_the_kill = true;
    pair.check = [world](PairRound& round) {
        const bool open = world->queue->unfinished() > 0;
        require(!open || !round.a_finished(), "task_done() had returned");
        if (open)
            static_cast<void>(round.b_rests()); // it may stand still with the lock
        const auto got = open ? world->work_off() : typename World<Kind>::Got{};
        static_cast<void>(round.b_ends("all is done, and join() sleeps"));
        if (open)
            world->expect_tries(1, 2);
        else
            world->forget(1);
        if (!round.a_finished())
            world->expect_done(got);
    };
    pair.state = [world] { return world->queue->to_string(); };
    return pair;
}

} // namespace multifork::test::crash::lease_scenarios
