#include "crash/gates.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using namespace multifork::test::crash::gate_scenarios;
using multifork::mutants::Mutant;

namespace {

constexpr Density dense{.kills = 0};
constexpr Density strided{.kills = 100};

} // namespace

BOOST_AUTO_TEST_SUITE(gates)

MULTIFORK_CRASH_TEST(a_director_hears_of_a_part_that_died_on_its_way, on_the_way_to_the_gate())
MULTIFORK_CRASH_TEST(a_director_hears_of_a_part_that_died_in_its_step, in_its_step())
MULTIFORK_CRASH_TEST(a_director_hears_of_a_part_that_died_elsewhere, elsewhere_in_its_step())
MULTIFORK_CRASH_TEST(a_part_gets_on_although_who_allowed_it_died, while_it_allows())
MULTIFORK_CRASH_TEST(the_dead_are_in_no_circle, in_a_circle())

BOOST_AUTO_TEST_CASE(deaf_director_is_caught, *ut::label("full") * ut::timeout(300)) {
    check_mutant(elsewhere_in_its_step(), Mutant::deaf_director, strided);
}
BOOST_AUTO_TEST_CASE(arrive_first_is_caught, *ut::label("full") * ut::timeout(300)) {
    check_mutant(on_the_way_to_the_gate(), Mutant::arrive_first, dense);
}
BOOST_AUTO_TEST_CASE(no_bell_is_caught_by_a_gate, *ut::label("full") * ut::timeout(300)) {
    check_mutant(while_it_allows(), Mutant::no_bell, dense);
}

BOOST_AUTO_TEST_SUITE_END()
