#include <multifork/multifork.hpp>

#include "start_methods.hpp"
#include "support/children.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <mutex>
#include <string>
#include <tuple>
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

using FiveHandles = std::tuple<mp::Value<std::int32_t>, mp::Value<double>, mp::Value<std::int16_t>,
                               mp::Value<std::int64_t>, mp::Value<char>>;
FiveHandles handles(const Five& five) {
    return {five.number, five.fraction, five.small, five.large, five.letter};
}

struct Point {
    int x;
    double y;
    std::int64_t z;
};

} // namespace

BOOST_AUTO_TEST_SUITE(value)

MULTIFORK_EACH_START_METHOD(V_001_values_of_five_types_changed_by_a_child) {
    Five five;
    five.expect_first();
    support::run_in_child(
        context,
        [](const FiveHandles& given) {
            auto [number, fraction, small, large, letter] = given;
            number.store(24234);
            fraction.store(-4.25);
            small.store(234);
            large.store(std::int64_t{1} << 34);
            letter.store('y');
        },
        handles(five));
    five.expect_changed();
}

MULTIFORK_EACH_START_METHOD(V_002_raw_values_of_five_types_changed_by_a_child) {
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
    support::run_in_child(
        context,
        [](mp::RawValue<std::int32_t> n, mp::RawValue<double> f, mp::RawValue<std::int16_t> s,
           mp::RawValue<std::int64_t> l, mp::RawValue<char> c) {
            n.value() = 24234;
            f.value() = -4.25;
            s.value() = static_cast<std::int16_t>(234);
            l.value() = std::int64_t{1} << 34;
            c.value() = 'y';
        },
        number, fraction, small, large, letter);
    BOOST_TEST(number.value() == 24234);
    BOOST_TEST(fraction.value() == -4.25);
    BOOST_TEST(small.value() == 234);
    BOOST_TEST(large.value() == std::int64_t{1} << 34);
    BOOST_TEST(letter.value() == 'y');
}

// lock=true: what a Value always has. update() takes the lock by itself, get_lock() is for the
// rest. A struct is read and written whole, not member by member.
MULTIFORK_EACH_START_METHOD(V_005_values_changed_under_their_lock) {
    Five five;
    mp::Value<Point> point{{0, 0, 0}};
    const mp::Array<double> numbers(std::vector<double>{0, 1, 2, 3, 4});
    const mp::Array<char> text{20};
    support::run_in_child(
        context,
        [](const FiveHandles& given, mp::Value<Point> p, mp::Array<double> n, mp::Array<char> t) {
            auto [number, fraction, small, large, letter] = given;
            number.update([](int& x) { x = 24234; });
            fraction.update([](double) { return -4.25; });
            small.update([](std::int16_t& x) { x = 234; });
            large.update([](std::int64_t& x) { x *= 2; });
            letter.update([](char& c) { ++c; });
            const std::scoped_lock hold{p.get_lock(), n.get_lock(), t.get_lock()};
            for (double& each : n)
                each *= 2;
            t.assign(0, std::string("hellohello"));
            p.value() = Point{1, 1.5, std::int64_t{1} << 33};
        },
        handles(five), point, numbers, text);
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
