#include <multifork/version.hpp>

#include <boost/test/unit_test.hpp>
#include <fmt/core.h>

BOOST_AUTO_TEST_SUITE(version)

BOOST_AUTO_TEST_CASE(library_and_headers_agree) {
    BOOST_TEST(multifork::version() == fmt::format("{}.{}.{}", MULTIFORK_VERSION_MAJOR,
                                                   MULTIFORK_VERSION_MINOR,
                                                   MULTIFORK_VERSION_PATCH));
}

BOOST_AUTO_TEST_CASE(number_can_be_compared) {
    static_assert(MULTIFORK_VERSION >= 100);
    BOOST_TEST(MULTIFORK_VERSION % 100 == MULTIFORK_VERSION_PATCH);
}

BOOST_AUTO_TEST_SUITE_END()
