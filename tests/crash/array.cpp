#include "crash/array.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using namespace multifork::test::crash::array_scenarios;

BOOST_AUTO_TEST_SUITE(array)

MULTIFORK_CRASH_TEST(a_dead_resizer_leaves_the_old_or_the_new_size, resize_alone())
MULTIFORK_CRASH_TEST(other_resizers_go_on, resize_with_others())
MULTIFORK_CRASH_TEST(a_dead_reader_is_no_dead_owner, read_alone())

BOOST_AUTO_TEST_SUITE_END()
