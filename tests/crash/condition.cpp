#include "crash/condition.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using namespace multifork::test::crash::condition_scenarios;

BOOST_AUTO_TEST_SUITE(condition)

MULTIFORK_CRASH_TEST(nobody_hangs_when_the_notifier_of_one_dies, notify_one())
MULTIFORK_CRASH_TEST(nobody_hangs_when_the_notifier_of_two_dies, notify_two())
MULTIFORK_CRASH_TEST(nobody_hangs_when_the_notifier_of_all_dies, notify_all())
MULTIFORK_CRASH_TEST(the_notification_of_a_dead_waiter_is_handed_on, woken())
MULTIFORK_CRASH_TEST(also_if_it_died_waiting_for_the_lock, notified_and_locked_out())
MULTIFORK_CRASH_TEST(also_if_that_lock_lies_elsewhere, notified_and_locked_out_elsewhere())
MULTIFORK_CRASH_TEST(no_notification_goes_to_who_died_going_to_sleep, going_to_sleep())
MULTIFORK_CRASH_TEST(a_wait_that_times_out_disturbs_nobody, timing_out())
MULTIFORK_CRASH_TEST(one_notifies_one_waits_the_notifier_dies,
                     notify_and_wait(Pair::Order::a_first))
MULTIFORK_CRASH_TEST(one_waits_one_notifies_and_dies, notify_and_wait(Pair::Order::b_first))
MULTIFORK_CRASH_TEST(two_hand_on_one_dies, hand_on(Pair::Order::a_first))
MULTIFORK_CRASH_TEST(two_hand_on_the_later_one_dies, hand_on(Pair::Order::b_first))

BOOST_AUTO_TEST_SUITE_END()
