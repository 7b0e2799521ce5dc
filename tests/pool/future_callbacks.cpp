#include <multifork/pool/future.hpp>
#include <multifork/pool/pool.hpp>
#include <multifork/pool/wait.hpp>
#include <multifork/sync/event.hpp>

#include "pool/thread_work.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <thread>
#include <vector>

#include <malloc.h>
#include <unistd.h>

// Callbacks of futures that meet: with another thread that adds one, with cancel(), with wait().

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(future_callbacks)

BOOST_AUTO_TEST_CASE(one_that_comes_while_others_are_called_is_called_behind_them) {
    mp::Promise<int> promise;
    const auto future = promise.get_future();
    support::Gate begun, gate;
    future.add_done_callback([&](const auto&) {
        begun.open();
        gate.pass();
    });
    std::jthread other([&] { promise.set_value(3); });
    begun.pass();
    std::atomic<bool> called = false;
    std::atomic<bool> was_ready = false;
    future.add_done_callback([&](const mp::Future<int>& done) {
        was_ready = done.ready() && done.get() == 3;
        called = true;
    });
    BOOST_TEST_REQUIRE(!called.load());
    BOOST_TEST(!future.ready());
    // Who looks once does not wait for the callbacks.
    BOOST_TEST(mp::wait(std::vector{future}, mp::return_when::all_completed, 0s).done.empty());
    gate.open();
    BOOST_TEST(future.get() == 3);
    BOOST_TEST((called.load() && was_ready.load()));
}

BOOST_AUTO_TEST_CASE(what_as_completed_gives_is_ready) {
    mp::Promise<int> promise;
    const auto future = promise.get_future();
    auto completed = mp::as_completed(std::vector{future});
    const pid_t waiter = ::gettid();
    support::Gate begun;
    std::atomic<bool> waits = false;
    future.add_done_callback([&](const auto&) { // behind that of as_completed()
        begun.open();
        support::wait_until([&] { return waits.load(); });
        support::wait_until_asleep(waiter); // if it does not wait here it waits for this thread
    });
    std::jthread other([&] { promise.set_value(3); });
    begun.pass();
    waits = true;
    BOOST_TEST(completed.next().value().ready());
}

BOOST_AUTO_TEST_CASE(as_completed_gives_later_what_was_not_ready_in_time) {
    mp::Promise<int> promise;
    const auto future = promise.get_future();
    auto completed = mp::as_completed(std::vector{future}, 0s);
    support::Gate begun, gate;
    future.add_done_callback([&](const auto&) {
        begun.open();
        gate.pass();
    });
    {
        std::jthread other([&] { promise.set_value(3); });
        begun.pass();
        support::expect_error<mp::TimedOut>([&] { static_cast<void>(completed.next()); },
                                            {"1 (of 1)"});
        BOOST_TEST(mp::wait(std::vector{future}, 0s).done.empty());
        gate.open();
    }
    BOOST_TEST(completed.next().value().get() == 3);
    BOOST_TEST(!completed.next().has_value());
}

// All threads that wait are woken while callbacks of others may still be called.
BOOST_AUTO_TEST_CASE(what_wait_gives_is_ready) {
    for (int round = 0; round < support::scaled(2000); ++round) {
        mp::Promise<int> promise;
        const std::vector futures{promise.get_future()};
        std::atomic<int> unready = 0;
        {
            const auto look = [&] {
                for (const auto& done : mp::wait(futures).done)
                    unready += done.ready() ? 0 : 1;
            };
            std::jthread one(look), two(look);
            promise.set_value(round);
        }
        BOOST_REQUIRE(unready.load() == 0);
    }
}

BOOST_AUTO_TEST_CASE(a_callback_of_cancel_may_drop_the_last_future) {
    mp::Pool pool{1};
    mp::Event gate;
    const auto busy = pool.submit([](mp::Event g) { g.wait(); }, gate);
    auto last = std::optional(pool.submit([](int n) { return n; }, 1));
    int called = 0;
    last->add_done_callback([&](const auto&) {
        ++called;
        last.reset();
    });
    last->add_done_callback([&](const auto&) { ++called; }); // of a future that is still there
    BOOST_TEST(last->cancel());
    BOOST_TEST(called == 2);
    gate.set();
    busy.get();
}

BOOST_AUTO_TEST_CASE(what_then_gives_can_be_cancelled_until_it_begins) {
    mp::Promise<int> promise;
    int called = 0;
    auto after = promise.get_future().then([&](int) { ++called; });
    BOOST_TEST(after.cancel());
    promise.set_value(1);
    BOOST_TEST(called == 0);
    BOOST_TEST(after.cancelled());

    mp::Promise<int> other;
    mp::Future<void> second;
    bool cancelled = true;
    second = other.get_future().then([&](int) { cancelled = second.cancel(); });
    other.set_value(1);
    BOOST_TEST(!cancelled); // it runs
    BOOST_TEST(second.ready());
}

BOOST_AUTO_TEST_CASE(a_promise_refuses_what_is_no_exception) {
    mp::Promise<int> promise;
    support::expect_error<mp::InvalidArgument>([&] { promise.set_exception(nullptr); },
                                               {"null pointer"});
    promise.set_value(3);
    BOOST_TEST(promise.get_future().get() == 3);
}

BOOST_AUTO_TEST_CASE(a_promise_that_was_moved_from_says_so) {
    mp::Promise<int> from;
    const mp::Promise<int> to = std::move(from);
    support::expect_error<mp::InvalidState>([&] { from.set_value(3); }, {"moved from"});
    support::expect_error<mp::InvalidState>([&] { static_cast<void>(from.get_future()); },
                                            {"moved from"});
    BOOST_TEST(!to.get_future().ready());
}

BOOST_AUTO_TEST_CASE(waiting_again_and_again_leaves_nothing_behind) {
    mp::Promise<int> promise;
    const std::vector futures{promise.get_future()};
    int called = 0;
    futures[0].add_done_callback([&](const auto&) { ++called; });
    const auto poll = [&](int count) {
        for (int i = 0; i < count; ++i) {
            BOOST_REQUIRE(mp::wait(futures, mp::return_when::all_completed, 0s).done.empty());
            const auto completed = mp::as_completed(futures);
        }
    };
    poll(100);
    const std::size_t before = ::mallinfo2().uordblks;
    poll(20'000);
    BOOST_TEST(::mallinfo2().uordblks < before + 500'000);
    promise.set_value(1);
    BOOST_TEST(called == 1);
    BOOST_TEST(mp::wait(futures).done.size() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
