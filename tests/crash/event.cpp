#include "crash/event.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using namespace multifork::test::crash::event_scenarios;

BOOST_AUTO_TEST_SUITE(event)

MULTIFORK_CRASH_TEST(set_happened_or_did_not, set_alone())
MULTIFORK_CRASH_TEST(all_sleepers_are_woken_although_the_setter_dies, set_with_sleepers())
MULTIFORK_CRASH_TEST(no_sleeper_misses_a_set_before_a_clear, pulse_with_sleepers())
MULTIFORK_CRASH_TEST(a_dead_woken_waiter_disturbs_nobody, woken())
MULTIFORK_CRASH_TEST(a_waiter_that_dies_going_to_sleep_disturbs_nobody, going_to_sleep())
MULTIFORK_CRASH_TEST(one_sets_one_waits_the_setter_dies, set_and_wait(Pair::Order::a_first))
MULTIFORK_CRASH_TEST(one_waits_one_sets_and_dies, set_and_wait(Pair::Order::b_first))

BOOST_AUTO_TEST_SUITE_END()
