#include "crash/births.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using multifork::mutants::Mutant;

namespace {

[[gnu::constructor(150)]] void come_before_the_arena() {
    births::register_handlers();
}

} // namespace

BOOST_AUTO_TEST_SUITE(births_and_drops)

MULTIFORK_CRASH_TEST(what_is_made_and_dropped_during_a_fork_is_the_childs,
                     births::fork_that_makes_and_drops())

BOOST_AUTO_TEST_CASE(instant_birth_is_caught, *ut::label("full") * ut::timeout(300)) {
    check_mutant(births::fork_that_makes_and_drops(), Mutant::instant_birth, {.kills = 30});
}
BOOST_AUTO_TEST_CASE(blind_drop_is_caught, *ut::label("full") * ut::timeout(300)) {
    check_mutant(births::fork_that_makes_and_drops(), Mutant::blind_drop, {.kills = 30});
}
BOOST_AUTO_TEST_CASE(forget_one_more_is_caught, *ut::label("full") * ut::timeout(300)) {
    check_mutant(births::fork_that_makes_and_drops(), Mutant::forget_one_more, {.kills = 30});
}

BOOST_AUTO_TEST_SUITE_END()
