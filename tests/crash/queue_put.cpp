#include "crash/queue_put.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;

BOOST_AUTO_TEST_SUITE(queue_put)

MULTIFORK_CRASH_TEST(a_dead_producer_leaves_its_item_whole_or_not_at_all, put_alone<Plain>())
MULTIFORK_CRASH_TEST(a_dead_producer_of_messages_leaves_all_or_nothing, put_alone<Short>())
MULTIFORK_CRASH_TEST(a_dead_producer_of_large_messages_leaks_no_block, put_alone<Long>())
MULTIFORK_CRASH_TEST(a_sleeping_consumer_gets_what_a_dead_producer_put,
                     put_with_consumers_asleep<Plain>())
MULTIFORK_CRASH_TEST(a_sleeping_consumer_gets_the_large_message_of_a_dead_producer,
                     put_with_consumers_asleep<Long>())
MULTIFORK_CRASH_TEST(a_stranger_who_hears_of_a_death_tells_the_consumer,
                     put_with_a_stranger_asleep<Plain>())
MULTIFORK_CRASH_TEST(a_dead_woken_producer_hands_its_wake_up_on, put_woken<Plain>())
MULTIFORK_CRASH_TEST(a_dead_woken_producer_of_large_messages_hands_its_wake_up_on,
                     put_woken<Long>())
MULTIFORK_CRASH_TEST(a_producer_that_dies_going_to_sleep_disturbs_nobody,
                     put_going_to_sleep<Plain>())

BOOST_AUTO_TEST_SUITE_END()
