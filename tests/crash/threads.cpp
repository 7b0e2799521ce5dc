#include "crash/threads.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;

BOOST_AUTO_TEST_SUITE(threads)

MULTIFORK_CRASH_TEST(a_thread_that_dies_attaching_leaves_a_usable_slot, attach_alone())
MULTIFORK_CRASH_TEST(waiters_learn_of_an_owner_that_had_just_attached, attach_and_lock())
MULTIFORK_CRASH_TEST(waiters_learn_that_the_owner_has_left, detach_with_waiters())
MULTIFORK_CRASH_TEST(a_slot_changes_hands_without_a_doubt, attach_again())
MULTIFORK_CRASH_TEST(an_owner_that_left_and_came_back_is_not_waited_for, wait_for_who_comes_back())
MULTIFORK_CRASH_TEST(a_thread_that_dies_leaving_is_missed_although_its_slot_is_taken,
                     detach_to_a_successor(true))
MULTIFORK_CRASH_TEST(what_a_thread_that_dies_leaving_held_is_missed, detach_to_a_successor(false))

BOOST_AUTO_TEST_SUITE_END()
