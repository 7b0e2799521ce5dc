#include <multifork/channel/queue.hpp>
#include <multifork/liveness/tuning.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <numeric>
#include <ranges>
#include <string>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {
std::string big(char c) {
    return std::string(3000, c);
}
} // namespace

BOOST_AUTO_TEST_SUITE(queue_batches)

BOOST_AUTO_TEST_CASE(what_is_put_together_is_got_together) {
    mp::Queue<int> queue{10};
    BOOST_TEST(queue.put_many(std::views::iota(0, 7)) == 7u);
    BOOST_TEST(queue.size() == 7u);
    BOOST_TEST((queue.get_many(3) == std::vector<int>{0, 1, 2}));
    BOOST_TEST(queue.get() == 3);
    BOOST_TEST(queue.try_put_many(std::vector<int>(20, 9)) == 7u);
    BOOST_TEST(queue.try_put_many(std::vector<int>{1}) == 0u);
    BOOST_TEST(queue.get_many(100).size() == 10u);
    BOOST_TEST(queue.try_get_many(5).empty());
    BOOST_TEST(queue.get_many(0).empty());
    BOOST_TEST(queue.put_many(std::vector<int>{}) == 0u);
    const auto begin = std::chrono::steady_clock::now();
    BOOST_TEST(queue.try_get_many_for(5, 30ms).empty());
    BOOST_TEST((std::chrono::steady_clock::now() - begin >= 30ms));
}

BOOST_AUTO_TEST_CASE(messages_of_any_length) {
    const auto blocks = [] {
        mp::arena::tree_space().sweep();
        return mp::arena::arena_usage().blocks_used;
    };
    mp::Queue<std::string> queue{3};
    const auto before = blocks();
    const std::vector<std::string> texts{big('a'), "b", "", big('d')};
    BOOST_TEST(queue.try_put_many(texts) == 3u);
    const std::vector<std::string> first{big('a'), "b", ""};
    BOOST_TEST((queue.get_many(10) == first));
    BOOST_TEST(queue.try_put_many(std::views::reverse(texts)) == 3u);
    BOOST_TEST((queue.try_get_many(2) == std::vector<std::string>{big('d'), ""}));
    BOOST_TEST(queue.get() == "b");
    BOOST_TEST(blocks() == before);
}

BOOST_AUTO_TEST_CASE(bools_and_structs) {
    mp::Queue<bool> bools{4};
    BOOST_TEST(bools.put_many(std::vector<bool>{true, false, true}) == 3u);
    BOOST_TEST((bools.get_many(3) == std::vector<bool>{true, false, true}));
}

BOOST_AUTO_TEST_CASE(more_than_the_capacity_goes_through_in_order) {
    mp::liveness::tuning().tick_ns = 0;
    mp::Queue<int> queue{7};
    const int items = support::scaled(20'000);
    support::RawChild producer([&] {
        const bool all = queue.put_many(std::views::iota(0, items)) == std::size_t(items);
        queue.close();
        return all ? 0 : 1;
    });
    int expected = 0;
    for (;;) {
        const auto some = queue.get_many(5);
        if (some.empty())
            break;
        for (const int item : some)
            if (item != expected++)
                BOOST_FAIL("item " << item << " came instead of " << expected - 1);
    }
    BOOST_TEST(expected == items);
    BOOST_TEST(producer.wait() == 0);
}

BOOST_AUTO_TEST_CASE(a_batch_wakes_all_whom_it_is_for) {
    mp::liveness::tuning().tick_ns = 0;
    mp::Queue<int> queue{4};
    const auto consume = [&] { return queue.get(); };
    support::RawChild a(consume);
    support::RawChild b(consume);
    support::RawChild c(consume);
    for (auto* child : {&a, &b, &c})
        support::wait_until_asleep(child->pid());
    queue.put_many(std::vector<int>{1, 2, 4});
    BOOST_TEST(a.wait() + b.wait() + c.wait() == 7);
    const auto produce = [&] {
        queue.put(5);
        return 0;
    };
    queue.put_many(std::vector<int>(4, 1));
    support::RawChild d(produce);
    support::RawChild e(produce);
    for (auto* child : {&d, &e})
        support::wait_until_asleep(child->pid());
    BOOST_TEST(queue.get_many(4).size() == 4u);
    BOOST_TEST(d.wait() + e.wait() == 0);
    BOOST_TEST(queue.size() == 2u);
}

BOOST_AUTO_TEST_CASE(closed_queues) {
    mp::Queue<int> queue{4};
    queue.put(1);
    queue.close();
    support::expect_error<mp::QueueClosed>([&] { queue.put_many(std::vector<int>{1}); },
                                           {"put()", "closed"});
    BOOST_TEST((queue.get_many(5) == std::vector<int>{1}));
    BOOST_TEST(queue.get_many(5).empty());

    mp::Queue<int> small{2};
    support::RawChild producer([&] {
        return static_cast<int>(small.put_many(std::vector<int>{1, 2, 3, 4}));
    });
    support::wait_until_asleep(producer.pid());
    small.close();
    BOOST_TEST(producer.wait() == 2);
    BOOST_TEST(small.get_many(5).size() == 2u);
}

BOOST_AUTO_TEST_SUITE_END()
