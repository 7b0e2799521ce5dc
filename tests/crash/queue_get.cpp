#include "crash/queue_get.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;

BOOST_AUTO_TEST_SUITE(queue_get)

MULTIFORK_CRASH_TEST(a_dead_consumer_takes_at_most_its_own_item, get_alone<Plain>())
MULTIFORK_CRASH_TEST(a_dead_consumer_of_messages_takes_at_most_its_own, get_alone<Short>())
MULTIFORK_CRASH_TEST(a_dead_consumer_of_large_messages_leaks_no_block, get_alone<Long>())
MULTIFORK_CRASH_TEST(a_sleeping_producer_gets_the_room_that_a_dead_consumer_made,
                     get_with_producers_asleep<Plain>())
MULTIFORK_CRASH_TEST(a_sleeping_producer_of_large_messages_gets_the_room,
                     get_with_producers_asleep<Long>())
MULTIFORK_CRASH_TEST(a_dead_woken_consumer_hands_its_wake_up_on, get_woken<Plain>())
MULTIFORK_CRASH_TEST(a_dead_woken_consumer_of_large_messages_hands_its_wake_up_on,
                     get_woken<Long>())
MULTIFORK_CRASH_TEST(a_woken_consumer_wakes_the_next_for_a_second_item,
                     get_woken_beside_a_second_item<Plain>())
MULTIFORK_CRASH_TEST(a_consumer_that_dies_going_to_sleep_disturbs_nobody,
                     get_going_to_sleep<Plain>())

BOOST_AUTO_TEST_SUITE_END()
