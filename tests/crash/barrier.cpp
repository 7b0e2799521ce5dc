#include "crash/barrier.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using namespace multifork::test::crash::barrier_scenarios;

BOOST_AUTO_TEST_SUITE(barrier)

MULTIFORK_CRASH_TEST(all_pass_or_none_when_the_last_dies, last_arrives())
MULTIFORK_CRASH_TEST(nobody_passes_before_the_action_of_the_dead, last_arrives_and_acts())
MULTIFORK_CRASH_TEST(all_pass_or_none_when_one_between_dies, one_arrives())
MULTIFORK_CRASH_TEST(a_party_that_dies_breaks_the_barrier, one_dies_waiting())
MULTIFORK_CRASH_TEST(a_dead_woken_party_disturbs_nobody, woken())
MULTIFORK_CRASH_TEST(abort_happened_or_did_not, aborting())
MULTIFORK_CRASH_TEST(reset_happened_or_did_not, resetting())
MULTIFORK_CRASH_TEST(a_party_that_dies_when_its_time_is_up_breaks_the_barrier, timing_out())
MULTIFORK_CRASH_TEST(one_that_comes_too_late_dies_and_breaks_nothing, too_late())
MULTIFORK_CRASH_TEST(one_that_an_action_holds_up_dies_and_breaks_nothing, held_up())
MULTIFORK_CRASH_TEST(one_that_an_action_held_up_dies_in_the_next_round, woken_late())
MULTIFORK_CRASH_TEST(two_arrive_one_dies, two_arrive(Pair::Order::a_first))
MULTIFORK_CRASH_TEST(two_arrive_the_later_one_dies, two_arrive(Pair::Order::b_first))

BOOST_AUTO_TEST_CASE(a_party_that_arrives_unseen_and_dies_elsewhere_breaks_the_barrier,
                     *ut::label("fast")) {
    no_backstop();
    BOOST_TEST(arrive_unseen_and_die_elsewhere() > 10);
}

BOOST_AUTO_TEST_SUITE_END()
