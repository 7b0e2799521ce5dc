#include "crash/wait.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using namespace multifork::test::crash::wait_scenarios;

BOOST_AUTO_TEST_SUITE(waiting)

MULTIFORK_CRASH_TEST(who_waits_for_several_hears_of_a_dead_producers_item,
                     put_with_a_waiter_asleep())
MULTIFORK_CRASH_TEST(who_waits_for_descriptors_too_hears_of_a_dead_producers_item,
                     put_with_a_descriptor_watched())
MULTIFORK_CRASH_TEST(who_waits_for_several_hears_of_the_end_of_a_stream,
                     last_writer_with_a_waiter_asleep())
MULTIFORK_CRASH_TEST(who_waits_for_several_hands_its_wake_up_on, wait_woken())

BOOST_AUTO_TEST_SUITE_END()
