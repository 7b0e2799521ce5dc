#include "crash/rlock.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using namespace multifork::test::crash::rlock_scenarios;

BOOST_AUTO_TEST_SUITE(rlock)

MULTIFORK_CRASH_TEST(late_waiters_get_past_a_dead_locker, twice_with_late_waiters())
MULTIFORK_CRASH_TEST(sleepers_are_woken_although_the_unlocker_dies, unlock_with_sleepers())
MULTIFORK_CRASH_TEST(a_dead_woken_waiter_hands_its_wake_up_on, woken())
MULTIFORK_CRASH_TEST(a_dead_recoverer_can_be_recovered_from, recovering())
MULTIFORK_CRASH_TEST(two_lockers_one_dies, two_lockers(Pair::Order::a_first))
MULTIFORK_CRASH_TEST(two_lockers_the_later_one_dies, two_lockers(Pair::Order::b_first))

BOOST_AUTO_TEST_SUITE_END()
