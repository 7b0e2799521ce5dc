#include <multifork/channel/value.hpp>

#include "support/children.hpp"
#include "support/race.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <thread>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

struct Point {
    double x = 0;
    double y = 0;
    int label = 0;
    bool operator==(const Point&) const = default;
};

enum class Colour : std::uint8_t { red, green };

template <class Step>
void in_threads(int threads, int rounds, Step step) {
    std::vector<std::thread> all;
    for (int t = 0; t < threads; ++t)
        all.emplace_back([=] {
            for (int i = 0; i < rounds; ++i)
                step();
        });
    for (std::thread& thread : all)
        thread.join();
}

} // namespace

namespace {

template <class T, class F>
constexpr bool can_update(F) {
    return requires(const mp::Value<T>& value, F f) {
        value.update(f);
    };
}

} // namespace

BOOST_AUTO_TEST_SUITE(value)

// It is clear from its type what a function does: or it does not compile.
BOOST_AUTO_TEST_CASE(how_a_function_changes_a_value) {
    const mp::Value<int> n{5};
    BOOST_TEST(n.update([](int& x) -> int& { return ++x; }) == 6);
    BOOST_TEST(n.update([](auto& x) { x += 1; }) == 7);
    BOOST_TEST(n.update([](const auto& x) { return x + 1; }) == 8);
    BOOST_TEST(n.update([](const int& x) { return x > 5 ? 2.0 : 1.0; }) == 2);
    const mp::Value<double> d{0.5};
    BOOST_TEST(d.update([](double) { return 3; }) == 3.0);
    static_assert(!can_update<int>([](int& x) { return x++; }));
    static_assert(!can_update<int>([](int& x) { return x + 1; }));
    static_assert(!can_update<double>([](double& x) { return x > 1; }));
    static_assert(can_update<int>([](int& x) { ++x; }));
    static_assert(can_update<int>([](int x) { return x + 1; }));
}

BOOST_AUTO_TEST_CASE(default_constructed_values_are_zero) {
    BOOST_TEST(mp::Value<int>{}.load() == 0);
    BOOST_TEST(mp::Value<double>{}.load() == 0.0);
    BOOST_TEST(mp::Value<bool>{}.load() == false);
    BOOST_TEST((mp::Value<Point>{}.load() == Point{}));
    BOOST_TEST((mp::Value<std::array<int, 100>>{}.load() == std::array<int, 100>{}));
}

BOOST_AUTO_TEST_CASE(initial_values_are_kept) {
    BOOST_TEST(mp::Value<int>{-7}.load() == -7);
    BOOST_TEST(mp::Value<std::uint64_t>{~0ULL}.load() == ~0ULL);
    BOOST_TEST(mp::Value<char>{'x'}.load() == 'x');
    BOOST_TEST((mp::Value<Colour>{Colour::green}.load() == Colour::green));
    BOOST_TEST((mp::Value<Point>{{1.5, 2.5, 3}}.load() == Point{1.5, 2.5, 3}));
}

BOOST_AUTO_TEST_CASE(the_racy_reference_reads_like_the_value) {
    mp::Value<int> counter{10};
    counter.value() = 20;
    counter.value() += 5;
    counter.value() -= 1;
    counter.value() *= 2;
    counter.value() /= 3;
    BOOST_TEST(counter.value() == 16);
    ++counter.value();
    --counter.value();
    mp::Value<int> other{1};
    other.value() = counter.value();
    BOOST_TEST(other.value().get() == 16);
    const int copy = other.value();
    BOOST_TEST(copy == 16);
    const mp::Value<int>& read_only = other;
    BOOST_TEST(read_only.value() == 16);
}

BOOST_AUTO_TEST_CASE(the_racy_reference_takes_structs) {
    mp::Value<Point> point;
    point.value() = Point{1, 2, 3};
    BOOST_TEST((point.value().get() == Point{1, 2, 3}));
}

BOOST_AUTO_TEST_CASE(integer_atomics) {
    mp::Value<int> n{5};
    BOOST_TEST(n.fetch_add(3) == 5);
    BOOST_TEST(n.fetch_sub(1) == 8);
    BOOST_TEST(n.exchange(0b1100) == 7);
    BOOST_TEST(n.fetch_and(0b0110) == 0b1100);
    BOOST_TEST(n.fetch_or(0b0011) == 0b0100);
    BOOST_TEST(n.fetch_xor(0b0001) == 0b0111);
    BOOST_TEST(n.load() == 0b0110);
    n.store(-1);
    BOOST_TEST(n.load() == -1);
}

BOOST_AUTO_TEST_CASE(floating_point_atomics) {
    mp::Value<double> sum{0.5};
    BOOST_TEST(sum.fetch_add(0.25) == 0.5);
    BOOST_TEST(sum.fetch_sub(0.5) == 0.75);
    BOOST_TEST(sum.load() == 0.25);
    mp::Value<float> single{1.0F};
    BOOST_TEST(single.fetch_add(2.0F) == 1.0F);
    BOOST_TEST(single.load() == 3.0F);
    sum.store(std::nan(""));
    BOOST_TEST(std::isnan(sum.load()));
}

BOOST_AUTO_TEST_CASE(compare_exchange_tells_what_it_found) {
    mp::Value<int> n{1};
    int expected = 2;
    BOOST_TEST(!n.compare_exchange(expected, 3));
    BOOST_TEST(expected == 1);
    BOOST_TEST(n.compare_exchange(expected, 3));
    BOOST_TEST(n.load() == 3);
}

BOOST_AUTO_TEST_CASE(fetch_add_loses_nothing_between_threads) {
    const int rounds = support::scaled(50'000);
    mp::Value<long> whole{0};
    mp::Value<double> real{0};
    in_threads(4, rounds, [&whole, &real] {
        whole.fetch_add(1);
        real.fetch_add(0.5);
    });
    BOOST_TEST(whole.load() == 4L * rounds);
    BOOST_TEST(real.load() == 2.0 * rounds);
}

BOOST_AUTO_TEST_CASE(update_by_reference_and_by_return_value) {
    mp::Value<int> n{1};
    BOOST_TEST(n.update([](int& x) { x += 4; }) == 5);
    BOOST_TEST(n.update([](const int& x) { return x * 3; }) == 15);
    BOOST_TEST(n.update([](int x) { return x + 1; }) == 16);
    BOOST_TEST(n.load() == 16);
    mp::Value<Point> point{{1, 2, 3}};
    const Point moved = point.update([](Point& p) { p.x += 10; });
    BOOST_TEST((moved == Point{11, 2, 3}));
    const Point made = point.update([](const Point& p) { return Point{p.y, p.x, 4}; });
    BOOST_TEST((made == point.load()));
    BOOST_TEST((made == Point{2, 11, 4}));
}

BOOST_AUTO_TEST_CASE(update_that_throws_changes_nothing_and_leaves_the_lock_free) {
    mp::Value<Point> point{{1, 2, 3}};
    BOOST_CHECK_THROW(point.update([](Point& p) {
        p.x = 99;
        throw std::runtime_error("no");
    }),
                      std::runtime_error);
    BOOST_TEST((point.load() == Point{1, 2, 3}));
    BOOST_TEST(point.get_lock().try_lock());
    point.get_lock().unlock();
}

// Fails when update() takes no lock: two threads then build on the same old value.
BOOST_AUTO_TEST_CASE(update_loses_nothing_and_is_never_seen_torn) {
    const int rounds = support::scaled(3'000);
    mp::Value<Point> point;
    std::atomic<bool> end{false};
    std::atomic<int> torn{0};
    std::thread reader([&] {
        while (!end) {
            const Point seen = point.load();
            torn += seen.x != seen.y || seen.label != static_cast<int>(seen.x);
        }
    });
    support::race_in_threads(3, [&] {
        for (int i = 0; i < rounds; ++i)
            point.update([i](Point& p) {
                p.x += 1;
                if (i % 32 == 0)
                    std::this_thread::yield();
                p.y += 1;
                p.label += 1;
            });
    });
    end = true;
    reader.join();
    BOOST_TEST(torn == 0);
    BOOST_TEST(point.load().label == 3 * rounds);
}

// Fails without the lock.
BOOST_AUTO_TEST_CASE(get_lock_guards_a_section) {
    const int rounds = support::scaled(500);
    mp::Value<int> n{0};
    support::race_in_threads(4, [&] {
        for (int i = 0; i < rounds; ++i) {
            const std::scoped_lock hold{n.get_lock()};
            support::increment_in_two_steps(n);
        }
    });
    BOOST_TEST(n.load() == 4 * rounds);
}

BOOST_AUTO_TEST_CASE(update_within_get_lock_would_deadlock_and_says_so) {
    mp::Value<int> n{0};
    const std::scoped_lock hold{n.get_lock()};
    BOOST_CHECK_THROW(n.update([](int& x) { ++x; }), mp::WouldDeadlock);
    BOOST_TEST(n.load() == 0);
}

BOOST_AUTO_TEST_CASE(update_within_update_of_the_same_value_would_deadlock_and_says_so) {
    mp::Value<int> n{1};
    BOOST_CHECK_THROW(n.update([&](int& x) {
        x = 5;
        n.update([](int& y) { ++y; });
    }),
                      mp::WouldDeadlock);
    BOOST_TEST(n.load() == 1);
    BOOST_TEST(n.update([](int& x) { ++x; }) == 2);
}

BOOST_AUTO_TEST_CASE(a_dead_holder_of_get_lock_makes_update_throw_until_recovered) {
    mp::Value<Point> point{{1, 2, 3}};
    std::thread holder([&] { point.get_lock().lock(); });
    holder.join();
    BOOST_CHECK_THROW(point.update([](Point& p) { p.x = 5; }), mp::OwnerDied);
    BOOST_CHECK_THROW(static_cast<void>(point.load()), mp::OwnerDied);
    BOOST_CHECK_THROW(point.store({}), mp::OwnerDied);
    BOOST_TEST((point.value().get() == Point{1, 2, 3})); // the racy view asks nobody
    BOOST_TEST(point.get_lock().recover());
    BOOST_TEST(point.update([](Point& p) { p.x = 5; }).x == 5);
}

BOOST_AUTO_TEST_CASE(large_values_are_stored_whole) {
    using Big = std::array<std::uint64_t, 512>;
    mp::Value<Big> big;
    Big ones;
    ones.fill(1);
    big.store(ones);
    std::atomic<bool> end{false};
    std::atomic<int> mixed{0};
    std::thread reader([&] {
        while (!end) {
            const Big seen = big.load();
            mixed += seen.front() != seen.back();
        }
    });
    for (std::uint64_t i = 0; i < 2'000; ++i) {
        Big next;
        next.fill(i);
        big.store(next);
    }
    end = true;
    reader.join();
    BOOST_TEST(mixed == 0);
    BOOST_TEST(big.load()[511] == 1999U);
}

BOOST_AUTO_TEST_CASE(odd_sizes_are_kept_byte_by_byte) {
    struct Odd {
        std::array<char, 13> text;
    };
    mp::Value<Odd> odd;
    odd.store(Odd{{'h', 'e', 'l', 'l', 'o', ' ', 'w', 'o', 'r', 'l', 'd', '!', '?'}});
    BOOST_TEST(odd.load().text[12] == '?');
    struct Three {
        char a, b, c;
    };
    mp::Value<Three> three{{'a', 'b', 'c'}};
    BOOST_TEST(three.update([](Three& t) { t.b = 'x'; }).b == 'x');
    BOOST_TEST(three.load().c == 'c');
}

BOOST_AUTO_TEST_CASE(copies_mean_the_same_value) {
    mp::Value<int> n{1};
    mp::Value<int> copy = n;
    copy.store(2);
    BOOST_TEST(n.load() == 2);
    copy.get_lock().lock();
    BOOST_TEST(!n.get_lock().try_lock());
    n.get_lock().unlock();
}

BOOST_AUTO_TEST_SUITE_END()
