#include "crash/sweep.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;

BOOST_AUTO_TEST_SUITE(sweep)

MULTIFORK_CRASH_TEST(a_block_that_a_queue_got_stays, sweep_while_a_queue_gets_a_block())

BOOST_AUTO_TEST_SUITE_END()
