#include "crash/task_table.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;

BOOST_AUTO_TEST_SUITE(task_table)

MULTIFORK_CRASH_TEST(alone, task_scenarios::alone())
MULTIFORK_CRASH_TEST(woken, task_scenarios::woken())
MULTIFORK_CRASH_TEST(woken_for_two, task_scenarios::woken_for_two())
MULTIFORK_CRASH_TEST(going_to_sleep, task_scenarios::going_to_sleep())
MULTIFORK_CRASH_TEST(listened_to, task_scenarios::listened_to())

BOOST_AUTO_TEST_SUITE_END()
