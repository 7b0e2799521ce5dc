#include <multifork/platform/padding.hpp>

#include "support/holes.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

// Of an object whose every byte is 1, the bytes without padding: 'x' where a member is, '.' in the
// holes.

using multifork::detail::BytesWithoutPadding;

namespace {

template <class T>
std::string picture() {
    alignas(T) std::array<std::byte, sizeof(T)> ones;
    ones.fill(std::byte{1});
    const BytesWithoutPadding<T> copy(*reinterpret_cast<const T*>(ones.data()));
    std::string seen;
    for (const std::byte byte : copy.bytes)
        seen += byte == std::byte{1} ? 'x' : byte == std::byte{} ? '.' : '?';
    return seen;
}
template <class T>
std::string picture_of(const T& /*closure*/) {
    return picture<T>();
}

struct Inner {
    char first;
    double second;
    bool third;
    std::int32_t fourth;
    short fifth;
};
struct Derived : Inner {
    char sixth;
};
struct alignas(32) Wide {
    std::int64_t only;
};
struct Nested {
    std::uint8_t before;
    std::array<Wide, 2> all;
};
struct Full {
    std::int64_t a;
    std::int32_t b;
    std::int32_t c;
};
struct Pointing {
    std::int64_t number;
    void* pointer;
};

const std::string inner = "x.......xxxxxxxxx...xxxxxx......";
const std::string lone = "x...............................";
const std::string wide = "xxxxxxxx........................";

} // namespace

BOOST_AUTO_TEST_SUITE(padding)

BOOST_AUTO_TEST_CASE(what_has_no_holes_is_copied) {
    BOOST_TEST(picture<Full>() == std::string(16, 'x'));
    BOOST_TEST(picture<Pointing>() == std::string(16, 'x'));
    BOOST_TEST((picture<std::array<double, 3>>() == std::string(24, 'x')));
    BOOST_TEST(picture<char>() == "x");
}

BOOST_AUTO_TEST_CASE(the_holes_are_zero) {
    BOOST_TEST(picture<Inner>() == inner);
    BOOST_TEST(picture<Derived>() == inner + "x.......");
    BOOST_TEST((picture<std::array<Inner, 3>>() == inner + inner + inner));
    BOOST_TEST(picture<Nested>() == lone + wide + wide);
    BOOST_TEST(picture<long double>() == "xxxxxxxxxx......");
}

BOOST_AUTO_TEST_CASE(so_are_those_of_a_closure) {
    BOOST_TEST(picture_of([c = 'a', d = 2.0, n = 3] { return c + d + n; }) ==
               "x.......xxxxxxxxxxxx....");
    BOOST_TEST(picture_of([c = 'a', k = 3]() mutable { return c + (k += 1); }) == "x...xxxx");
    BOOST_TEST(picture_of([all = Inner{}, c = 'a'] { return all.first + c; }) ==
               inner + "x.......");
}

BOOST_AUTO_TEST_CASE(the_object_itself_stays_as_it_is) {
    multifork::test::OverAddresses<Inner> before;
    before->fourth = 4;
    std::array<std::byte, sizeof(Inner)> was;
    std::memcpy(was.data(), &*before, sizeof(Inner));
    const BytesWithoutPadding<Inner> copy(*before);
    BOOST_TEST(std::memcmp(was.data(), &*before, sizeof(Inner)) == 0);
    Inner of_the_copy;
    std::memcpy(&of_the_copy, copy.bytes.data(), sizeof(Inner));
    BOOST_TEST(of_the_copy.fourth == 4);
}

BOOST_AUTO_TEST_SUITE_END()
