#include "crash/queue_get.hpp"

#include "crash/harness/crash_test.hpp"

// A process dies in close(). The queue is closed for all or for none; nobody sleeps on.

using namespace multifork;
using namespace multifork::test::crash;

namespace {

template <class Kind>
Scenario closing(const SharedQueue<Kind>& world, const char* name, std::uint64_t items) {
    Scenario scenario = putting<Kind>(world, name, items);
    scenario.operation = [world] { world->queue->close(); };
    scenario.check = [world](Round& round) {
        require(!round.finished() || world->queue->closed(), "close() returned, but it is open");
        if (!world->queue->closed())
            world->queue->close();
        for (std::size_t i = 0; i < round.partner_count(); ++i)
            require(round.result_of(i, "somebody sleeps on at a closed queue") == was_closed,
                    "a queue that is being closed gave or took an item");
        world->expect_all_accounted_for(world->drain());
        world->expect_no_memory_lost();
    };
    return scenario;
}

Scenario consumers_asleep() {
    const auto world = std::make_shared<QueueWorld<Plain>>();
    Scenario scenario = closing<Plain>(world, "close, two consumers asleep", 0);
    scenario.early = {world->consumer(), world->consumer()};
    return scenario;
}

Scenario producers_asleep() {
    const auto world = std::make_shared<QueueWorld<Plain>>();
    Scenario scenario = closing<Plain>(world, "close, two producers asleep", 3);
    scenario.early = {world->producer(from_partner), world->producer(from_partner + 1)};
    return scenario;
}

bool put_succeeds(QueueWorld<Long>& world) {
    try {
        return world.queue->try_put(Long::make(from_test));
    } catch (const QueueClosed&) {
        return false;
    }
}

/// B closes behind a producer of large messages who dies: its block is cleared away all the same.
Pair put_and_close(Pair::Order order) {
    const auto world = std::make_shared<QueueWorld<Long>>();
    Pair pair;
    pair.name = order == Pair::Order::a_first ? "put/close, A first" : "put/close, B first";
    pair.order = order;
    pair.set_up = [world] { world->fresh(1); };
    pair.prepare_a = [world] { world->warm_up(); };
    pair.prepare_b = pair.prepare_a;
    pair.a = [world] {
        try {
            world->queue->put(Long::make(from_victim));
        } catch (const QueueClosed&) {
        }
    };
    pair.b = [world] {
        world->queue->close();
        return std::uint64_t{1};
    };
    pair.check = [world](PairRound& round) {
        static_cast<void>(round.b_ends("close() hangs"));
        require(world->queue->closed(), "the queue is not closed");
        require(!put_succeeds(*world), "a closed queue takes an item");
        const Numbers got = world->drain();
        require(got == Numbers{1} || got == Numbers{1, from_victim}, "wrong items");
        world->expect_no_memory_lost();
    };
    pair.state = [world] { return world->queue->to_string(); };
    return pair;
}

} // namespace

BOOST_AUTO_TEST_SUITE(queue_close)

MULTIFORK_CRASH_TEST(sleeping_consumers_learn_what_a_dead_closer_did, consumers_asleep())
MULTIFORK_CRASH_TEST(sleeping_producers_learn_what_a_dead_closer_did, producers_asleep())
MULTIFORK_CRASH_TEST(closing_behind_a_dead_producer_leaks_no_block,
                     put_and_close(Pair::Order::a_first))
MULTIFORK_CRASH_TEST(closing_before_a_dead_producer_leaks_no_block,
                     put_and_close(Pair::Order::b_first))

BOOST_AUTO_TEST_SUITE_END()
