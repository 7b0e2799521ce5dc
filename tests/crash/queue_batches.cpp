#include "crash/queue_batches.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using namespace multifork::test::crash::batch_scenarios;

BOOST_AUTO_TEST_SUITE(queue_batches)

MULTIFORK_CRASH_TEST(a_dead_producer_of_many_has_put_the_first_few,
                     put_three<Plain>("put_many, alone", 0, 0))
MULTIFORK_CRASH_TEST(a_dead_producer_of_many_large_ones_has_put_the_first_few,
                     put_three<Long>("put_many, alone", 0, 0))
MULTIFORK_CRASH_TEST(sleeping_consumers_get_what_a_dead_producer_of_many_has_put,
                     put_three<Plain>("put_many, two consumers asleep", 0, 2))
MULTIFORK_CRASH_TEST(a_dead_consumer_of_many_has_taken_the_first_few,
                     get_three<Plain>("get_many, alone", 0))
MULTIFORK_CRASH_TEST(a_dead_consumer_of_many_large_ones_has_taken_the_first_few,
                     get_three<Long>("get_many, alone", 0))
MULTIFORK_CRASH_TEST(sleeping_producers_get_the_room_that_a_dead_consumer_of_many_made,
                     get_three<Plain>("get_many, two producers asleep", 2))
MULTIFORK_CRASH_TEST(sleeping_producers_of_large_ones_get_the_room,
                     get_three<Long>("get_many, two producers asleep", 2))

BOOST_AUTO_TEST_SUITE_END()
