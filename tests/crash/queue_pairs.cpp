#include "crash/queue_pairs.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using namespace multifork::test::crash::queue_pairs_scenarios;

BOOST_AUTO_TEST_SUITE(queue_pairs)

MULTIFORK_CRASH_TEST(two_producers_one_dies, put_and_put<Plain>(Order::a_first))
MULTIFORK_CRASH_TEST(two_producers_the_later_one_dies, put_and_put<Plain>(Order::b_first))
MULTIFORK_CRASH_TEST(two_producers_of_large_messages_one_dies, put_and_put<Long>(Order::a_first))
MULTIFORK_CRASH_TEST(two_consumers_one_dies, get_and_get<Plain>(Order::a_first))
MULTIFORK_CRASH_TEST(two_consumers_the_later_one_dies, get_and_get<Plain>(Order::b_first))
MULTIFORK_CRASH_TEST(two_consumers_of_large_messages_one_dies, get_and_get<Long>(Order::a_first))
MULTIFORK_CRASH_TEST(a_producer_dies_beside_a_consumer, put_and_get<Plain>(Order::b_first))
MULTIFORK_CRASH_TEST(a_producer_dies_before_a_consumer, put_and_get<Plain>(Order::a_first))
MULTIFORK_CRASH_TEST(a_consumer_dies_beside_a_producer, get_and_put<Plain>(Order::b_first))
MULTIFORK_CRASH_TEST(a_consumer_of_large_messages_dies_beside_a_producer,
                     get_and_put<Long>(Order::b_first))

BOOST_AUTO_TEST_SUITE_END()
