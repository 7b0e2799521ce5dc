#include "crash/pool_map.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using namespace multifork::test::crash::map_scenarios;
using multifork::mutants::Mutant;

using InPlace = Result<0>; // as what lies in the block of the map: nothing to be given
using Long = Result<1000>;

#define MULTIFORK_MAP_MUTANT_TEST(name, mutant, ...)                                               \
    BOOST_AUTO_TEST_CASE(name, *ut::label("full") * ut::timeout(300)) {                            \
        check_mutant(__VA_ARGS__, Mutant::mutant, {.kills = 0, .partner_places = 20});             \
    }

BOOST_AUTO_TEST_SUITE(pool_map)

MULTIFORK_CRASH_TEST(the_chunk_of_the_dead_is_lost_alone, share<InPlace>("a share in a map", false))
MULTIFORK_CRASH_TEST(the_chunk_of_the_dead_is_done_again,
                     share<InPlace>("a share in a map, tried again", true))
MULTIFORK_CRASH_TEST(large_results_of_the_dead_count_or_go,
                     share<Long>("a share in a map, large results", false))
MULTIFORK_CRASH_TEST(large_results_of_the_dead_are_made_again,
                     share<Long>("a share in a map, large results, tried again", true))
MULTIFORK_CRASH_TEST(a_worker_beside_the_dead_does_the_rest, share_beside_another<InPlace>())
MULTIFORK_CRASH_TEST(a_worker_beside_the_dead_gives_large_results, share_beside_another<Long>())

MULTIFORK_MAP_MUTANT_TEST(claim_unnamed_is_caught, claim_unnamed,
                          share<InPlace>("a share in a map", false))
MULTIFORK_MAP_MUTANT_TEST(no_last_look_is_caught, no_last_look,
                          share<InPlace>("a share in a map, tried again", true))
MULTIFORK_MAP_MUTANT_TEST(making_unnamed_is_caught, making_unnamed,
                          share<Long>("a share in a map, large results", false))

BOOST_AUTO_TEST_SUITE_END()
