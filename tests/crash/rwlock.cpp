#include "crash/rwlock.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using namespace multifork::test::crash::rwlock_scenarios;

BOOST_AUTO_TEST_SUITE(rwlock)

MULTIFORK_CRASH_TEST(others_get_past_a_dead_reader, reading())
MULTIFORK_CRASH_TEST(the_share_of_a_dead_reader_comes_back, read_and_hold())
MULTIFORK_CRASH_TEST(a_writer_is_woken_although_the_last_reader_dies, read_unlock_with_sleepers())
MULTIFORK_CRASH_TEST(others_get_past_a_dead_writer, writing())
MULTIFORK_CRASH_TEST(readers_and_writers_learn_that_the_writer_died, write_and_hold())
MULTIFORK_CRASH_TEST(sleepers_are_woken_although_the_unlocker_dies, write_unlock_with_sleepers())
MULTIFORK_CRASH_TEST(a_dead_woken_writer_leaves_nobody_behind, woken_writer())
MULTIFORK_CRASH_TEST(a_dead_woken_reader_leaves_nobody_behind, woken_reader())
MULTIFORK_CRASH_TEST(nobody_notices_a_writer_that_dies_waiting, dies_waiting_for_readers())
MULTIFORK_CRASH_TEST(a_dead_recoverer_can_be_recovered_from, recovering_it())
MULTIFORK_CRASH_TEST(a_writer_dies_beside_a_reader,
                     two("rwlock: write/read, A first", Pair::Order::a_first, write, read))
MULTIFORK_CRASH_TEST(a_writer_dies_after_a_reader_came,
                     two("rwlock: write/read, B first", Pair::Order::b_first, write, read))
MULTIFORK_CRASH_TEST(a_reader_dies_beside_a_writer,
                     two("rwlock: read/write, A first", Pair::Order::a_first, read, write))
MULTIFORK_CRASH_TEST(a_reader_dies_after_a_writer_came,
                     two("rwlock: read/write, B first", Pair::Order::b_first, read, write))
MULTIFORK_CRASH_TEST(a_writer_dies_after_a_writer_came,
                     two("rwlock: write/write, B first", Pair::Order::b_first, write, write))

BOOST_AUTO_TEST_SUITE_END()
