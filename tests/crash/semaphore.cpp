#include "crash/semaphore.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using namespace multifork::test::crash::semaphore_scenarios;

BOOST_AUTO_TEST_SUITE(semaphore)

MULTIFORK_CRASH_TEST(permits_of_the_dead_come_back, acquire_alone())
MULTIFORK_CRASH_TEST(waiters_get_the_last_permit_of_the_dead, acquire_of_the_last())
MULTIFORK_CRASH_TEST(waiters_get_both_permits_of_the_dead, second_acquire())
MULTIFORK_CRASH_TEST(sleepers_are_woken_although_the_releaser_dies, release_with_sleepers())
MULTIFORK_CRASH_TEST(sleepers_are_woken_although_the_releaser_of_two_dies, release_of_two())
MULTIFORK_CRASH_TEST(a_signal_of_the_dead_is_whole_or_not_there, release_as_a_signal())
MULTIFORK_CRASH_TEST(a_dead_woken_waiter_hands_its_permit_on, woken())
MULTIFORK_CRASH_TEST(a_waiter_that_dies_going_to_sleep_disturbs_nobody, going_to_sleep())
MULTIFORK_CRASH_TEST(two_acquire_one_dies, acquire_and_acquire(Pair::Order::a_first))
MULTIFORK_CRASH_TEST(two_acquire_the_later_one_dies, acquire_and_acquire(Pair::Order::b_first))

BOOST_AUTO_TEST_SUITE_END()
