#include "crash/objects.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;

BOOST_AUTO_TEST_SUITE(objects)

MULTIFORK_CRASH_TEST(a_dead_maker_of_a_lock_leaks_nothing, make_and_drop_a_lock())
MULTIFORK_CRASH_TEST(the_heap_grows_by_whole_blocks, carve_a_block())
// Thousands of instructions, most of them the sweep's: not at every one.
BOOST_AUTO_TEST_CASE(free_neighbours_are_joined_or_not, *ut::label("fast")) {
    check(join_free_blocks(), {.kills = 20});
}
BOOST_AUTO_TEST_CASE(free_neighbours_are_joined_or_not_densely,
                     *ut::label("full") * ut::timeout(600)) {
    check(join_free_blocks(), {.kills = 300});
}
MULTIFORK_CRASH_TEST(a_dead_maker_of_a_value_leaks_nothing, make_and_drop_a_value())
MULTIFORK_CRASH_TEST(a_dead_maker_of_a_queue_leaks_nothing, make_and_drop_a_queue())
MULTIFORK_CRASH_TEST(a_queue_dropped_with_large_messages_leaks_nothing,
                     drop_a_queue_with_messages())

BOOST_AUTO_TEST_SUITE_END()
