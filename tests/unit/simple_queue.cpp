#include <multifork/channel/simple_queue.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/own_name.hpp"

#include <boost/test/unit_test.hpp>

#include <string>

namespace mp = multifork;
namespace support = multifork::test;

BOOST_AUTO_TEST_SUITE(simple_queue)

BOOST_AUTO_TEST_CASE(items_of_any_type_come_out_in_order) {
    mp::SimpleQueue<std::string> queue;
    support::run_in_child([&] {
        queue.put("one");
        queue.put(std::string(100'000, 'x'));
    });
    BOOST_TEST(!queue.empty());
    BOOST_TEST(queue.get() == "one");
    BOOST_TEST(queue.get() == std::string(100'000, 'x'));
    BOOST_TEST(queue.empty());
}

BOOST_AUTO_TEST_CASE(closing_ends_the_use_in_one_process_only) {
    mp::SimpleQueue<int> queue{4};
    support::run_in_child([&] {
        queue.put(1);
        queue.close();
        try {
            queue.put(2);
            support::demand(false);
        } catch (const mp::QueueClosed&) {
        }
    });
    BOOST_TEST(queue.get() == 1);
    auto copy = queue;
    copy.close();
    support::expect_error<mp::QueueClosed>([&] { queue.put(1); }, {"put()", "is closed"});
    support::expect_error<mp::QueueClosed>([&] { static_cast<void>(queue.get()); },
                                           {"get()", "is closed"});
}

BOOST_AUTO_TEST_CASE(named_simple_queues) {
    auto queue = mp::SimpleQueue<int>::create(support::own_name("simple-queue"), 3);
    support::run_in_child(
        [] { mp::SimpleQueue<int>::open(support::own_name("simple-queue"), 3).put(5); });
    BOOST_TEST(queue.get() == 5);
    BOOST_TEST(mp::SimpleQueue<int>::open_or_create(support::own_name("simple-queue"), 3).empty());
    BOOST_TEST(mp::SimpleQueue<int>::remove(support::own_name("simple-queue")));
}

BOOST_AUTO_TEST_CASE(simple_queues_print) {
    mp::SimpleQueue<int> queue{4};
    queue.put(1);
    BOOST_TEST(fmt::format("{}", queue) == "<SimpleQueue 1/4>");
    queue.close();
    BOOST_TEST(fmt::format("{}", queue) == "<SimpleQueue closed>");
}

BOOST_AUTO_TEST_SUITE_END()
