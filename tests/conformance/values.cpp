#include <multifork/channel/value.hpp>
#include <multifork/process/process.hpp>

#include "support/children.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <mutex>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

struct Foo {
    int x;
    double y;
    std::int64_t z;
    bool operator==(const Foo&) const = default;
};

struct Five {
    mp::Value<std::int32_t> i{4343};
    mp::Value<double> d{3.625};
    mp::Value<std::int16_t> h{-232};
    mp::Value<std::int64_t> q{std::int64_t{1} << 33};
    mp::Value<char> c{'x'};
};

void check_first(Five& five) {
    BOOST_TEST(five.i.value() == 4343);
    BOOST_TEST(five.d.value() == 3.625);
    BOOST_TEST(five.h.value() == -232);
    BOOST_TEST(five.q.value() == std::int64_t{1} << 33);
    BOOST_TEST(five.c.value() == 'x');
}

void check_second(Five& five) {
    BOOST_TEST(five.i.value() == 24234);
    BOOST_TEST(five.d.value() == -4.25);
    BOOST_TEST(five.h.value() == 234);
    BOOST_TEST(five.q.value() == std::int64_t{1} << 34);
    BOOST_TEST(five.c.value() == 'y');
}

} // namespace

BOOST_AUTO_TEST_SUITE(values)

BOOST_AUTO_TEST_CASE(V_001_value) {
    Five five;
    check_first(five);
    support::run_in_child([&] {
        const auto set = [](auto& value, auto to) {
            const std::scoped_lock hold{value.get_lock()};
            value.value() = to;
        };
        set(five.i, 24234);
        set(five.d, -4.25);
        set(five.h, std::int16_t{234});
        set(five.q, std::int64_t{1} << 34);
        set(five.c, 'y');
    });
    check_second(five);
}

// RawValue is value(): the same Value, without its lock.
BOOST_AUTO_TEST_CASE(V_002_raw_value) {
    Five five;
    check_first(five);
    support::run_in_child([&] {
        five.i.value() = 24234;
        five.d.value() = -4.25;
        five.h.value() = 234;
        five.q.value() = std::int64_t{1} << 34;
        five.c.value() = 'y';
    });
    check_second(five);
}

// update() is the locked form; of the row's six objects the arrays and strings wait for Array.
BOOST_AUTO_TEST_CASE(V_005_synchronize) {
    mp::Value<int> x{7};
    mp::Value<double> y{1.0 / 3.0};
    mp::Value<std::int64_t> z{std::int64_t{1} << 33};
    mp::Value<Foo> foo{{3, 2, std::int64_t{1} << 33}};
    support::run_in_child([&] {
        x.update([](int& v) { v *= 2; });
        y.update([](double& v) { v *= 2; });
        z.update([](std::int64_t& v) { v *= 2; });
        foo.update([](Foo& f) {
            f.x *= 2;
            f.y *= 2;
            f.z *= 2;
        });
    });
    BOOST_TEST(x.load() == 14);
    BOOST_TEST(y.load() == 2.0 / 3.0);
    BOOST_TEST(z.load() == std::int64_t{1} << 34);
    BOOST_TEST((foo.load() == Foo{6, 4, std::int64_t{1} << 34}));
}

BOOST_AUTO_TEST_CASE(V_006_copy) {
    mp::Value<Foo> foo{{2, 5.0, std::int64_t{1} << 33}};
    const Foo copied = foo.load();
    const mp::Value<Foo> second{foo.load()};
    foo.store({0, 0, 0});
    BOOST_TEST((copied == Foo{2, 5.0, std::int64_t{1} << 33}));
    BOOST_TEST((second.load() == Foo{2, 5.0, std::int64_t{1} << 33}));
}

BOOST_AUTO_TEST_SUITE_END()
