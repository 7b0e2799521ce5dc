#include "crash/leases.hpp"
#include "crash/lease_ends.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using namespace multifork::test::crash::lease_scenarios;
using Order = Pair::Order;

BOOST_AUTO_TEST_SUITE(leases)

MULTIFORK_CRASH_TEST(a_dead_producers_task_is_whole_or_not_there, put_alone<Plain>())
MULTIFORK_CRASH_TEST(a_dead_producers_large_task_is_whole_or_not_there, put_alone<Long>())
MULTIFORK_CRASH_TEST(a_sleeping_worker_gets_the_task_of_a_dead_producer,
                     put_with_workers_asleep<Plain>())
MULTIFORK_CRASH_TEST(a_dead_getters_task_is_delivered_again, get_alone<Plain>())
MULTIFORK_CRASH_TEST(a_dead_getters_encoded_task_is_delivered_again, get_alone<Short>())
MULTIFORK_CRASH_TEST(a_dead_getters_large_task_is_delivered_again, get_alone<Long>())
MULTIFORK_CRASH_TEST(sleeping_producers_get_the_room_that_a_dead_getter_made,
                     get_with_producers_asleep<Plain>())
MULTIFORK_CRASH_TEST(a_worker_that_comes_gets_the_dead_ones_task,
                     get_with_a_worker_that_comes<Plain>())
MULTIFORK_CRASH_TEST(a_worker_that_comes_gets_the_dead_ones_large_task,
                     get_with_a_worker_that_comes<Long>())
MULTIFORK_CRASH_TEST(a_dead_woken_getter_hands_its_task_on, get_woken<Plain>())
MULTIFORK_CRASH_TEST(a_getter_that_dies_going_to_sleep_disturbs_nobody, get_going_to_sleep<Plain>())
MULTIFORK_CRASH_TEST(tries_count_when_a_redelivery_dies, redelivery<Plain>())
MULTIFORK_CRASH_TEST(a_worker_that_comes_gets_what_died_twice, redelivery_with_a_worker<Plain>())
MULTIFORK_CRASH_TEST(a_large_task_is_whole_when_a_redelivery_dies, redelivery<Long>())
MULTIFORK_CRASH_TEST(a_task_of_the_dead_is_done_or_comes_again, task_done_alone<Plain>())
MULTIFORK_CRASH_TEST(a_large_task_of_the_dead_is_done_or_comes_again, task_done_alone<Long>())
MULTIFORK_CRASH_TEST(sleeping_joiners_hear_of_the_last_task_done,
                     task_done_with_joiners_asleep<Plain>())
MULTIFORK_CRASH_TEST(sleeping_joiners_hear_of_the_last_large_task_done,
                     task_done_with_joiners_asleep<Long>())
MULTIFORK_CRASH_TEST(workers_of_a_closed_queue_end_with_the_last_task,
                     last_task_done_of_a_closed_queue<Plain>())
MULTIFORK_CRASH_TEST(a_sleeping_worker_gets_what_the_dead_gave_back,
                     give_back_with_workers_asleep<Plain>())
MULTIFORK_CRASH_TEST(a_joiner_that_dies_disturbs_nobody, join_going_to_sleep())
MULTIFORK_CRASH_TEST(a_dead_closer_has_closed_or_not, close_with_sleepers())
MULTIFORK_CRASH_TEST(two_get_one_dies, get_and_get<Plain>(Order::a_first))
MULTIFORK_CRASH_TEST(two_get_the_later_one_dies, get_and_get<Plain>(Order::b_first))
MULTIFORK_CRASH_TEST(one_does_the_last_task_and_dies_one_joins,
                     task_done_and_join<Plain>(Order::a_first))
MULTIFORK_CRASH_TEST(one_joins_one_does_the_last_task_and_dies,
                     task_done_and_join<Plain>(Order::b_first))

BOOST_AUTO_TEST_SUITE_END()
