#include "crash/objects.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;

BOOST_AUTO_TEST_SUITE(objects)

MULTIFORK_CRASH_TEST(a_dead_maker_of_a_lock_leaks_nothing, make_and_drop_a_lock())
MULTIFORK_CRASH_TEST(the_heap_grows_by_whole_blocks, carve_a_block())
MULTIFORK_CRASH_TEST(free_neighbours_are_joined_or_not, join_free_blocks())
MULTIFORK_CRASH_TEST(a_dead_maker_of_a_value_leaks_nothing, make_and_drop_a_value())
MULTIFORK_CRASH_TEST(a_dead_maker_of_a_queue_leaks_nothing, make_and_drop_a_queue())
MULTIFORK_CRASH_TEST(a_queue_dropped_with_large_messages_leaks_nothing,
                     drop_a_queue_with_messages())

BOOST_AUTO_TEST_SUITE_END()
