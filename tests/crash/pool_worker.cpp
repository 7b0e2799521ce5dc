#include "crash/pool_worker.hpp"
#include "crash/task_table.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using multifork::mutants::Mutant;

BOOST_AUTO_TEST_SUITE(pool_worker)

BOOST_AUTO_TEST_CASE(a_large_result_of_the_dead_counts_or_goes, *ut::label("fast")) {
    check(worker_scenarios::large_result_of_a_worker(), {.kills = 35});
}
BOOST_AUTO_TEST_CASE(a_large_result_of_the_dead_counts_or_goes_at_every_instruction,
                     *ut::label("full") * ut::timeout(600)) {
    check(worker_scenarios::large_result_of_a_worker(), {});
}

#define MULTIFORK_POOL_MUTANT_TEST(name, mutant, scenario, density)                                \
    BOOST_AUTO_TEST_CASE(name, *ut::label("full") * ut::timeout(300)) {                            \
        check_mutant(scenario, Mutant::mutant, density);                                           \
    }

MULTIFORK_POOL_MUTANT_TEST(result_unnamed_is_caught, result_unnamed,
                           worker_scenarios::large_result_of_a_worker(), Density{})
MULTIFORK_POOL_MUTANT_TEST(head_first_is_caught, head_first, task_scenarios::alone(), Density{})
MULTIFORK_POOL_MUTANT_TEST(keep_asleep_is_caught, keep_asleep, task_scenarios::woken_for_two(),
                           Density{})
MULTIFORK_POOL_MUTANT_TEST(wake_the_dead_is_caught, wake_the_dead, task_scenarios::going_to_sleep(),
                           Density{})

BOOST_AUTO_TEST_SUITE_END()
