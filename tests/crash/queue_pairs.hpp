#pragma once

#include "crash/harness/pair.hpp"
#include "crash/queue_get.hpp"

// Two processes in the middle of put() and get() at one queue, one of which dies.

namespace multifork::test::crash::queue_pairs_scenarios {

using Order = Pair::Order;

template <class Kind>
Pair pair_of(const SharedQueue<Kind>& world, const char* name, Order order, std::uint64_t items) {
    Pair pair;
    pair.name = std::string(name) + ", " + Kind::what;
    pair.order = order;
    pair.set_up = [world, items] { world->fresh(items); };
    pair.prepare_a = [world] { world->warm_up(); };
    pair.prepare_b = pair.prepare_a;
    pair.state = [world] { return world->queue->to_string(); };
    return pair;
}

template <class Kind>
void settle(const SharedQueue<Kind>& world, const Numbers& got) {
    world->expect_all_accounted_for(got);
    world->expect_no_memory_lost();
    world->expect_it_works();
    world->expect_no_memory_lost();
}

template <class Kind>
Pair put_and_put(Order order) {
    const auto world = std::make_shared<QueueWorld<Kind>>();
    Pair pair = pair_of<Kind>(world, "put/put", order, 1);
    pair.a = [world] { world->queue->put(Kind::make(from_victim)); };
    pair.b = world->producer(from_partner);
    pair.check = [world](PairRound& round) {
        static_cast<void>(round.b_ends("put() hangs behind a dead producer"));
        world->also_put(from_victim);
        world->also_put(from_partner);
        if (!round.a_finished())
            world->may_be_lost(from_victim);
        settle<Kind>(world, world->drain());
    };
    return pair;
}

template <class Kind>
Pair get_and_get(Order order) {
    const auto world = std::make_shared<QueueWorld<Kind>>();
    Pair pair = pair_of<Kind>(world, "get/get", order, 2);
    pair.a = [world] { static_cast<void>(world->queue->get()); };
    pair.b = world->consumer();
    pair.check = [world](PairRound& round) {
        Numbers got{round.b_ends("get() hangs behind a dead consumer")};
        world->may_be_lost(1);
        world->may_be_lost(2);
        for (const std::uint64_t n : world->drain())
            got.push_back(n);
        require(!round.a_finished() || got.size() == 1, "what A got is delivered once more");
        settle<Kind>(world, got);
    };
    return pair;
}

/// A puts into an empty queue and dies; B is getting, anywhere on its way to sleep.
template <class Kind>
Pair put_and_get(Order order) {
    const auto world = std::make_shared<QueueWorld<Kind>>();
    Pair pair = pair_of<Kind>(world, "put/get", order, 0);
    pair.a = [world] { world->queue->put(Kind::make(from_victim)); };
    pair.b = world->consumer();
    pair.check = [world](PairRound& round) {
        if (round.a_finished() || !world->queue->empty())
            static_cast<void>(round.b_ends("an item is in the queue, and its consumer sleeps"));
        else if (round.b_rests() == Place::asleep)
            world->put_extra();
        Numbers got{round.b_ends("get() hangs")};
        for (const std::uint64_t n : world->drain())
            got.push_back(n);
        world->also_put(from_victim);
        if (!round.a_finished())
            world->may_be_lost(from_victim);
        settle<Kind>(world, got);
    };
    return pair;
}

/// A gets from a full queue and dies; B is putting.
template <class Kind>
Pair get_and_put(Order order) {
    const auto world = std::make_shared<QueueWorld<Kind>>();
    Pair pair = pair_of<Kind>(world, "get/put", order, 3);
    pair.a = [world] { static_cast<void>(world->queue->get()); };
    pair.b = world->producer(from_partner);
    pair.check = [world](PairRound& round) {
        Numbers got;
        if (round.a_finished() || !world->queue->full())
            static_cast<void>(round.b_ends("there is room, and its producer sleeps"));
        else if (round.b_rests() == Place::asleep)
            got.push_back(world->checked(*world->queue->try_get_for(world->hang_limit())));
        static_cast<void>(round.b_ends("put() hangs"));
        for (const std::uint64_t n : world->drain())
            got.push_back(n);
        world->also_put(from_partner);
        world->may_be_lost(1);
        settle<Kind>(world, got);
    };
    return pair;
}

} // namespace multifork::test::crash::queue_pairs_scenarios
