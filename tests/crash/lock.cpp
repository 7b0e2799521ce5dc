#include "crash/lock.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using namespace multifork::test::crash::lock_scenarios;

BOOST_AUTO_TEST_SUITE(lock)

MULTIFORK_CRASH_TEST(a_dead_locker_leaves_a_lock_that_works, alone())
MULTIFORK_CRASH_TEST(late_waiters_get_past_a_dead_locker, with_late_waiters())
MULTIFORK_CRASH_TEST(sleepers_are_woken_although_the_unlocker_dies, unlock_with_sleepers())
MULTIFORK_CRASH_TEST(a_dead_woken_waiter_hands_its_wake_up_on, woken_waiter())
MULTIFORK_CRASH_TEST(a_dead_woken_waiter_hands_on_what_a_barger_owes, woken_waiter_and_barger())
MULTIFORK_CRASH_TEST(a_waiter_that_dies_going_to_sleep_disturbs_nobody, going_to_sleep())
MULTIFORK_CRASH_TEST(all_waiters_learn_that_the_owner_died, held_by_the_dead())
MULTIFORK_CRASH_TEST(all_are_told_although_nobody_recovers, all_told())
MULTIFORK_CRASH_TEST(a_dead_recoverer_can_be_recovered_from, recovering())
MULTIFORK_CRASH_TEST(two_lockers_one_dies, two_lockers(Pair::Order::a_first))
MULTIFORK_CRASH_TEST(two_lockers_the_later_one_dies, two_lockers(Pair::Order::b_first))

// An exception is forty thousand instructions, most of them not ours.
BOOST_AUTO_TEST_CASE(a_woken_waiter_that_is_told_of_a_death_tells_all, *ut::label("fast")) {
    check(woken_waiter_and_barger_that_leaves(), {.kills = 30});
}
BOOST_AUTO_TEST_CASE(a_woken_waiter_that_is_told_of_a_death_tells_all_densely,
                     *ut::label("full") * ut::timeout(900)) {
    check(woken_waiter_and_barger_that_leaves(), {.kills = 600});
}

BOOST_AUTO_TEST_SUITE_END()
