#pragma once

#include "crash/harness/pair.hpp"
#include "crash/harness/scenario.hpp"

#include <multifork/platform/mutant.hpp>

#include <boost/test/unit_test.hpp>

// How scenarios become test cases: each in two tiers, and each mutant once.

namespace multifork::test::crash {

/// No backstop in the test and all processes that it forks: a lost wake-up is lost.
/// \param spins  0: every waiter goes straight to sleep
void no_backstop(unsigned spins = 0);

/// Prints a line, and fails the test case for each failure.
void expect_clean(const Report& report);
/// Prints a line, and fails the test case when there is *no* failure.
void expect_caught(const Report& report, mutants::Mutant mutant);

template <class Declared>
void check(const Declared& declared, const Density& density, unsigned spins = 0) {
    no_backstop(spins);
    expect_clean(run(declared, density));
}

/// The scenario without the mistake, coarsely, and then with it until the first failure.
template <class Declared>
void check_mutant(const Declared& declared, mutants::Mutant mutant, Density density) {
    no_backstop();
    density.stop_after_failures = 1;
    mutants::active = mutant;
    const Report report = run(declared, density);
    mutants::active = mutants::Mutant::none;
    expect_caught(report, mutant);
}

namespace ut = boost::unit_test;

// A pair costs kills times places.
inline Density density_of(const Scenario&, bool full) {
    return {.kills = full ? 0u : 35u};
}
inline Density density_of(const Pair&, bool full) {
    return full ? Density{.kills = 250, .partner_places = 12}
                : Density{.kills = 16, .partner_places = 4};
}

template <class Declared>
void check_in_tier(const Declared& declared, bool full) {
    check(declared, density_of(declared, full));
}

} // namespace multifork::test::crash

/// A case `name` of the fast tier, and `name_at_every_instruction` of the full one.
#define MULTIFORK_CRASH_TEST(name, ...)                                                            \
    BOOST_AUTO_TEST_CASE(name, *multifork::test::crash::ut::label("fast")) {                       \
        multifork::test::crash::check_in_tier(__VA_ARGS__, false);                                 \
    }                                                                                              \
    BOOST_AUTO_TEST_CASE(name##_at_every_instruction,                                              \
                         *multifork::test::crash::ut::label("full") *                              \
                             multifork::test::crash::ut::timeout(900)) {                           \
        multifork::test::crash::check_in_tier(__VA_ARGS__, true);                                  \
    }
