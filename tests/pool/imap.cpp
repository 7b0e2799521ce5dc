#include <multifork/pool/pool.hpp>
#include <multifork/sync/event.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <ranges>
#include <stdexcept>
#include <vector>

namespace mp = multifork;
using namespace std::chrono_literals;

namespace {

int square(int x) {
    return x * x;
}

} // namespace

// Results one after another: how far the input is read, what an error leaves, how long one waits.
BOOST_AUTO_TEST_SUITE(imap)

BOOST_AUTO_TEST_CASE(takes_no_more_of_its_input_than_it_must) {
    mp::Pool pool{2};
    int taken = 0;
    auto endless = std::views::iota(0) | std::views::transform([&](int i) {
                       ++taken;
                       return i;
                   });
    auto results = pool.imap(square, endless, {.look_ahead = 5});
    BOOST_TEST(taken == 0);
    for (int i = 0; i < 20; ++i) {
        BOOST_TEST(results.next().value() == i * i);
        BOOST_TEST(taken <= i + 6);
    }
}

BOOST_AUTO_TEST_CASE(goes_on_behind_a_task_that_throws) {
    mp::Pool pool{2};
    auto results = pool.imap(
        [](int x) {
            if (x == 1)
                throw std::runtime_error("one");
            return x;
        },
        std::vector{0, 1, 2});
    BOOST_TEST(results.next().value() == 0);
    BOOST_CHECK_THROW(static_cast<void>(results.next()), std::runtime_error);
    BOOST_TEST(results.next().value() == 2);
    BOOST_TEST(!results.next().has_value());
}

BOOST_AUTO_TEST_CASE(the_next_result_can_be_waited_for_with_a_limit) {
    mp::Pool pool{2};
    mp::Event go;
    const auto work = mp::bind_front(
        [](const mp::Event& may_go, int x) {
            may_go.wait();
            if (x == 2)
                throw std::runtime_error("two");
            return x;
        },
        go);
    const auto check = [&](auto results) {
        go.clear();
        BOOST_TEST(!results.wait_for(0s));
        BOOST_TEST(!results.wait_for(20ms));
        BOOST_TEST(!results.wait_until(std::chrono::system_clock::now() + 5ms));
        go.set();
        const auto is_there = [&] { return results.wait_for(1h); };
        BOOST_TEST_REQUIRE(is_there());
        BOOST_TEST(results.wait_for(0s));
        BOOST_TEST(results.next().value() == 1);
        BOOST_TEST_REQUIRE(is_there());
        BOOST_CHECK_THROW(static_cast<void>(results.next()), std::runtime_error);
        BOOST_TEST_REQUIRE(is_there());
        BOOST_TEST(results.next().value() == 3);
        BOOST_TEST(is_there()); // at the end there is nothing to wait for
        BOOST_TEST(!results.next().has_value());
    };
    check(pool.imap(work, std::vector{1, 2, 3}));
    // One after another, so that the order is known.
    check(pool.imap_unordered(work, std::vector{1, 2, 3}, {.look_ahead = 1}));
}

BOOST_AUTO_TEST_SUITE_END()
