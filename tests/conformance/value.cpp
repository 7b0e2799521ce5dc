#include <multifork/multifork.hpp>

#include "support/children.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

// The five types of the list, and what a child makes of them. The sixth of test_sharedctypes is an
// array.
struct Five {
    mp::Value<std::int32_t> number{4343};
    mp::Value<double> fraction{3.625};
    mp::Value<std::int16_t> small{-232};
    mp::Value<std::int64_t> large{std::int64_t{1} << 33};
    mp::Value<char> letter{'x'};

    void expect_first() {
        BOOST_TEST(number.value().get() == 4343);
        BOOST_TEST(fraction.value().get() == 3.625);
        BOOST_TEST(small.value().get() == -232);
        BOOST_TEST(large.value().get() == std::int64_t{1} << 33);
        BOOST_TEST(letter.value().get() == 'x');
    }
    void expect_changed() {
        BOOST_TEST(number.value().get() == 24234);
        BOOST_TEST(fraction.value().get() == -4.25);
        BOOST_TEST(small.value().get() == 234);
        BOOST_TEST(large.value().get() == std::int64_t{1} << 34);
        BOOST_TEST(letter.value().get() == 'y');
    }
};

struct Point {
    int x;
    double y;
    std::int64_t z;
};

} // namespace

BOOST_AUTO_TEST_SUITE(value)

BOOST_AUTO_TEST_CASE(V_001_values_of_five_types_changed_by_a_child) {
    Five five;
    five.expect_first();
    support::run_in_child([&] {
        five.number.store(24234);
        five.fraction.store(-4.25);
        five.small.store(234);
        five.large.store(std::int64_t{1} << 34);
        five.letter.store('y');
    });
    five.expect_changed();
}

BOOST_AUTO_TEST_CASE(V_002_raw_values_of_five_types_changed_by_a_child) {
    mp::RawValue<std::int32_t> number{4343};
    mp::RawValue<double> fraction{3.625};
    mp::RawValue<std::int16_t> small{-232};
    mp::RawValue<std::int64_t> large{std::int64_t{1} << 33};
    mp::RawValue<char> letter{'x'};
    BOOST_TEST(number.value() == 4343);
    BOOST_TEST(fraction.value() == 3.625);
    BOOST_TEST(small.value() == -232);
    BOOST_TEST(large.value() == std::int64_t{1} << 33);
    BOOST_TEST(letter.value() == 'x');
    support::run_in_child([&] {
        number.value() = 24234;
        fraction.value() = -4.25;
        small.value() = static_cast<std::int16_t>(234);
        large.value() = std::int64_t{1} << 34;
        letter.value() = 'y';
    });
    BOOST_TEST(number.value() == 24234);
    BOOST_TEST(fraction.value() == -4.25);
    BOOST_TEST(small.value() == 234);
    BOOST_TEST(large.value() == std::int64_t{1} << 34);
    BOOST_TEST(letter.value() == 'y');
}

// lock=true: what a Value always has. update() takes the lock by itself, get_lock() is for the
// rest. A struct is read and written whole, not member by member.
BOOST_AUTO_TEST_CASE(V_005_values_changed_under_their_lock) {
    Five five;
    mp::Value<Point> point{{0, 0, 0}};
    mp::Array<double> numbers(std::vector<double>{0, 1, 2, 3, 4});
    mp::Array<char> text{20};
    support::run_in_child([&] {
        five.number.update([](int& n) { n = 24234; });
        five.fraction.update([](double) { return -4.25; });
        five.small.update([](std::int16_t& n) { n = 234; });
        five.large.update([](std::int64_t& n) { n *= 2; });
        five.letter.update([](char& c) { ++c; });
        const std::scoped_lock hold{point.get_lock(), numbers.get_lock(), text.get_lock()};
        for (double& each : numbers)
            each *= 2;
        text.assign(0, std::string("hellohello"));
        point.value() = Point{1, 1.5, std::int64_t{1} << 33};
    });
    five.expect_changed();
    BOOST_TEST((numbers.to_vector() == std::vector<double>{0, 2, 4, 6, 8}));
    BOOST_TEST(std::string(text.data()) == "hellohello");
    const Point seen = point.load();
    BOOST_TEST(seen.x == 1);
    BOOST_TEST(seen.y == 1.5);
    BOOST_TEST(seen.z == std::int64_t{1} << 33);
}

// Copying the handle shares the struct; copy() makes another.
BOOST_AUTO_TEST_CASE(V_006_a_copy_of_a_struct_is_independent) {
    mp::Value<Point> shared{{2, 5.0, std::int64_t{1} << 33}};
    const mp::Value<Point> copy = mp::copy(shared);
    shared.store({0, 0, 0});
    const Point kept = copy.load();
    BOOST_TEST(kept.x == 2);
    BOOST_TEST(kept.y == 5.0);
    BOOST_TEST(kept.z == std::int64_t{1} << 33);
    BOOST_TEST(shared.load().z == 0);
}

BOOST_AUTO_TEST_SUITE_END()
