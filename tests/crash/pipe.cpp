#include "crash/pipe.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using namespace multifork::test::crash::pipe_scenarios;

BOOST_AUTO_TEST_SUITE(pipes)

MULTIFORK_CRASH_TEST(a_dead_sender_leaves_its_message_whole_or_not_at_all, send_alone<Plain>())
MULTIFORK_CRASH_TEST(a_dead_sender_of_a_long_message_leaks_no_block, send_alone<Long>())
MULTIFORK_CRASH_TEST(a_sleeping_receiver_gets_what_a_dead_sender_sent,
                     send_with_a_receiver_asleep<Plain>())
MULTIFORK_CRASH_TEST(a_sleeping_receiver_gets_the_long_message_of_a_dead_sender,
                     send_with_a_receiver_asleep<Long>())
MULTIFORK_CRASH_TEST(a_sleeping_sender_gets_the_room_that_a_dead_receiver_made,
                     recv_with_a_sender_asleep<Plain>())
MULTIFORK_CRASH_TEST(a_sleeping_sender_gets_the_room_of_a_long_message,
                     recv_with_a_sender_asleep<Long>())
MULTIFORK_CRASH_TEST(a_dead_woken_receiver_hands_its_wake_up_on, recv_woken<Plain>())
MULTIFORK_CRASH_TEST(who_polls_hands_its_wake_up_on, poll_woken())
MULTIFORK_CRASH_TEST(the_stream_ends_when_the_last_writer_dies_in_send,
                     the_last_writer_is_killed_in_send<Plain>(true))
MULTIFORK_CRASH_TEST(the_stream_ends_when_the_last_writer_dies_in_a_long_send,
                     the_last_writer_is_killed_in_send<Long>(true))
MULTIFORK_CRASH_TEST(who_comes_late_learns_that_the_last_writer_died,
                     the_last_writer_is_killed_in_send<Plain>(false))
MULTIFORK_CRASH_TEST(the_stream_ends_when_the_last_writer_dies_in_close,
                     the_last_writer_closes<Plain>(true))
MULTIFORK_CRASH_TEST(who_comes_late_learns_that_the_last_writer_closed,
                     the_last_writer_closes<Plain>(false))
MULTIFORK_CRASH_TEST(a_sleeping_sender_learns_that_the_last_reader_died, the_last_reader_closes())
MULTIFORK_CRASH_TEST(an_end_on_its_way_in_a_message_dies_with_its_sender, the_last_end_travels())
MULTIFORK_CRASH_TEST(an_end_that_a_dying_process_took_over_is_missed, an_end_is_adopted_unseen())
MULTIFORK_CRASH_TEST(receiving_while_the_last_writer_dies,
                     close_and_recv(Pair::Order::a_first, false))
MULTIFORK_CRASH_TEST(the_last_writer_dies_while_another_goes_to_sleep,
                     close_and_recv(Pair::Order::b_first, false))
MULTIFORK_CRASH_TEST(the_last_writer_closes_while_another_goes_to_sleep,
                     close_and_recv(Pair::Order::b_first, true))
MULTIFORK_CRASH_TEST(the_last_writer_dies_elsewhere_while_another_goes_to_sleep, death_and_recv())

BOOST_AUTO_TEST_SUITE_END()
