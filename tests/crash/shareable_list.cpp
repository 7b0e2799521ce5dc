#include "crash/shareable_list.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using namespace multifork::test::crash::list_scenarios;

BOOST_AUTO_TEST_SUITE(shareable_list)

MULTIFORK_CRASH_TEST(a_dead_setter_leaves_the_old_or_the_new_item, set_alone())
MULTIFORK_CRASH_TEST(other_setters_go_on, set_with_others())

BOOST_AUTO_TEST_SUITE_END()
