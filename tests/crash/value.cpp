#include "crash/value.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using namespace multifork::test::crash::value_scenarios;

BOOST_AUTO_TEST_SUITE(value)

MULTIFORK_CRASH_TEST(a_dead_updater_leaves_the_old_or_the_new_int, alone<int>())
MULTIFORK_CRASH_TEST(a_dead_updater_leaves_the_old_or_the_new_struct, alone<Five>())
MULTIFORK_CRASH_TEST(other_updaters_of_an_int_go_on, with_late_updaters<int>())
MULTIFORK_CRASH_TEST(other_updaters_of_a_struct_go_on, with_late_updaters<Five>())

BOOST_AUTO_TEST_SUITE_END()
