#include "crash/barrier.hpp"
#include "crash/condition.hpp"
#include "crash/event.hpp"
#include "crash/rwlock.hpp"

#include "crash/harness/crash_test.hpp"

// The deliberate mistakes that the scenarios of events, conditions, barriers and reader-writer
// locks must notice; see mutants.cpp.

using namespace multifork::test::crash;
using multifork::mutants::Mutant;

#define MULTIFORK_SYNC_MUTANT_TEST(name, mutant, ...)                                              \
    BOOST_AUTO_TEST_CASE(name, *ut::label("full") * ut::timeout(300)) {                            \
        check_mutant(__VA_ARGS__, Mutant::mutant, {.kills = 0, .partner_places = 20});             \
    }

BOOST_AUTO_TEST_SUITE(sync_mutants)

MULTIFORK_SYNC_MUTANT_TEST(no_bell_is_caught_by_an_event, no_bell,
                           event_scenarios::set_with_sleepers())
MULTIFORK_SYNC_MUTANT_TEST(no_relay_is_caught_by_an_event, no_relay,
                           event_scenarios::set_with_sleepers())
MULTIFORK_SYNC_MUTANT_TEST(wake_one_only_is_caught, wake_one_only,
                           event_scenarios::set_with_sleepers())

MULTIFORK_SYNC_MUTANT_TEST(no_bell_is_caught_by_a_condition, no_bell,
                           condition_scenarios::notify_all())
MULTIFORK_SYNC_MUTANT_TEST(no_hand_on_is_caught, no_hand_on,
                           condition_scenarios::notified_and_locked_out())
MULTIFORK_SYNC_MUTANT_TEST(drop_first_is_caught, drop_first,
                           condition_scenarios::hand_on(Pair::Order::b_first))
MULTIFORK_SYNC_MUTANT_TEST(consume_early_is_caught, consume_early,
                           condition_scenarios::notified_and_locked_out())
MULTIFORK_SYNC_MUTANT_TEST(unwatched_party_is_caught_by_a_condition, unwatched_party,
                           condition_scenarios::notified_and_locked_out_elsewhere())
MULTIFORK_SYNC_MUTANT_TEST(no_bell_is_caught_by_a_barrier, no_bell,
                           barrier_scenarios::last_arrives())
MULTIFORK_SYNC_MUTANT_TEST(unwatched_party_is_caught_by_a_barrier, unwatched_party,
                           barrier_scenarios::one_dies_waiting())
MULTIFORK_SYNC_MUTANT_TEST(no_relay_is_caught_by_a_rwlock, no_relay,
                           rwlock_scenarios::write_unlock_with_sleepers())
MULTIFORK_SYNC_MUTANT_TEST(no_reader_sweep_is_caught, no_reader_sweep,
                           rwlock_scenarios::read_and_hold())
MULTIFORK_SYNC_MUTANT_TEST(drain_unmarked_is_caught, drain_unmarked,
                           rwlock_scenarios::dies_waiting_for_readers())

BOOST_AUTO_TEST_SUITE_END()
