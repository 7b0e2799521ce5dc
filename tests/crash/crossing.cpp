#include "crash/crossing.hpp"

#include "crash/harness/crash_test.hpp"

using namespace multifork::test::crash;
using namespace multifork::test::crash::crossing_scenarios;

BOOST_AUTO_TEST_SUITE(crossing)

// Ten thousand instructions and more, most of them the encoder's: not at every one.
BOOST_AUTO_TEST_CASE(an_order_is_written_or_not, *ut::label("fast")) {
    check(write_an_order(), {.kills = 30});
}
BOOST_AUTO_TEST_CASE(an_order_is_written_or_not_densely, *ut::label("full") * ut::timeout(600)) {
    check(write_an_order(), {.kills = 1500});
}
BOOST_AUTO_TEST_CASE(a_parcel_is_taken_or_not, *ut::label("fast")) {
    check(take_a_parcel(), {.kills = 30});
}
BOOST_AUTO_TEST_CASE(a_parcel_is_taken_or_not_densely, *ut::label("full") * ut::timeout(600)) {
    check(take_a_parcel(), {.kills = 1500});
}

BOOST_AUTO_TEST_SUITE_END()
