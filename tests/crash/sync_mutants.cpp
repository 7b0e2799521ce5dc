#include "crash/event.hpp"

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

BOOST_AUTO_TEST_SUITE_END()
