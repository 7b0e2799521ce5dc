#include "platform/code_address.hpp"

#include <multifork/channel/crossing.hpp>
#include <multifork/error.hpp>

#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace mp = multifork;
namespace platform = multifork::platform;
namespace support = multifork::test;

namespace {

int twice(int n) {
    return 2 * n;
}
const void* place_of(int (*function)(int)) {
    return reinterpret_cast<const void*>(function);
}

} // namespace

// A function's place, in words that hold in every process of this program and in no other build.
BOOST_AUTO_TEST_SUITE(code_address)

BOOST_AUTO_TEST_CASE(a_function_is_found_again) {
    const auto address = platform::code_address_of(place_of(&twice));
    BOOST_TEST(platform::code_at(address) == place_of(&twice));
}

BOOST_AUTO_TEST_CASE(another_build_is_not_taken_for_this_one) {
    const auto address = platform::code_address_of(place_of(&twice));
    auto other = address;
    other.fingerprint ^= 1;
    BOOST_TEST(platform::code_at(other) == nullptr);
    other = address;
    ++other.offset; // in the middle of the function
    BOOST_TEST(platform::code_at(other) == nullptr);
    other.offset = ~other.offset;
    BOOST_TEST(platform::code_at(other) == nullptr);
    other = address;
    other.module = "/nowhere/at-all.so";
    BOOST_TEST(platform::code_at(other) == nullptr);
}

BOOST_AUTO_TEST_CASE(what_is_no_code_has_no_address) {
    const auto data = std::make_unique<int>(1);
    BOOST_TEST(platform::code_at(platform::code_address_of(data.get())) == nullptr);
}

BOOST_AUTO_TEST_CASE(a_function_of_another_build_is_refused_by_who_gets_it) {
    using Function = int (*)(int);
    std::vector<std::byte> bytes;
    mp::write_crossing(Function(&twice), bytes);
    BOOST_TEST(mp::read_crossing<Function>(bytes)(4) == 8);
    bytes.back() ^= std::byte{1}; // of the fingerprint
    support::expect_error<mp::LayoutMismatch>(
        [&] { static_cast<void>(mp::read_crossing<Function>(bytes)); }, {"program"});
}

BOOST_AUTO_TEST_SUITE_END()
