#include <multifork/pool/future.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

std::exception_ptr failure() {
    return std::make_exception_ptr(std::runtime_error("test"));
}

mp::Future<int> pending_future(mp::Promise<int>& promise) {
    return promise.get_future();
}

} // namespace

BOOST_AUTO_TEST_SUITE(future)

BOOST_AUTO_TEST_CASE(a_future_of_nothing_says_so) {
    const mp::Future<int> none;
    BOOST_TEST(!none.valid());
    BOOST_TEST(none.to_string() == "<Future of nothing>");
    support::expect_error<mp::InvalidState>([&] { static_cast<void>(none.get()); }, {"no task"});
}

BOOST_AUTO_TEST_CASE(get_waits_for_another_thread) {
    mp::Promise<std::string> promise;
    const mp::Future<std::string> future = promise.get_future();
    BOOST_TEST(!future.ready());
    BOOST_TEST(!future.wait_for(0s));
    BOOST_TEST(!future.wait_for(1ms));
    std::jthread other([&] { promise.set_value("there"); });
    BOOST_TEST(future.get() == "there");
    BOOST_TEST(future.get() == "there"); // again
    BOOST_TEST(future.ready());
    BOOST_TEST((future.exception() == nullptr));
}

BOOST_AUTO_TEST_CASE(a_temporary_gives_what_cannot_be_copied) {
    mp::Promise<std::unique_ptr<int>> promise;
    promise.set_value(std::make_unique<int>(7));
    BOOST_TEST(*promise.get_future().get() == 7);
}

BOOST_AUTO_TEST_CASE(an_exception_is_thrown_by_get) {
    mp::Promise<void> promise;
    const auto future = promise.get_future();
    promise.set_exception(failure());
    support::expect_error<std::runtime_error>([&] { future.get(); }, {"test"});
    BOOST_TEST((future.exception() != nullptr));
    BOOST_TEST(future.to_string() == "<Future finished raised std::runtime_error>");
}

BOOST_AUTO_TEST_CASE(a_promise_is_kept_once) {
    mp::Promise<int> promise;
    promise.set_value(1);
    support::expect_error<mp::InvalidState>([&] { promise.set_value(2); }, {"finished", "once"});
    support::expect_error<mp::InvalidState>([&] { promise.set_exception(failure()); },
                                            {"finished"});
    BOOST_TEST(promise.get_future().get() == 1);
}

BOOST_AUTO_TEST_CASE(what_was_cancelled_takes_no_result) {
    mp::Promise<int> promise;
    mp::Future<int> future = pending_future(promise);
    BOOST_TEST(future.cancel());
    BOOST_TEST(future.cancel());
    BOOST_TEST(future.cancelled());
    BOOST_TEST(future.ready());
    BOOST_TEST(!promise.set_running());
    support::expect_error<mp::InvalidState>([&] { promise.set_value(2); }, {"cancelled"});
    support::expect_error<mp::Cancelled>([&] { static_cast<void>(future.get()); }, {"cancelled"});
    support::expect_error<mp::Cancelled>([&] { static_cast<void>(future.exception()); }, {});
}

BOOST_AUTO_TEST_CASE(what_runs_cannot_be_cancelled) {
    mp::Promise<int> promise;
    mp::Future<int> future = pending_future(promise);
    BOOST_TEST(promise.set_running());
    BOOST_TEST(future.running());
    BOOST_TEST(!future.cancel());
    promise.set_value(3);
    BOOST_TEST(!future.running());
    BOOST_TEST(!future.cancel());
    BOOST_TEST(future.get() == 3);
}

BOOST_AUTO_TEST_CASE(callbacks_come_in_order_and_before_get_returns) {
    mp::Promise<int> promise;
    const auto future = promise.get_future();
    std::vector<int> seen;
    future.add_done_callback([&](const mp::Future<int>& done) {
        std::this_thread::sleep_for(5ms); // get() must not overtake it
        seen.push_back(done.get());       // ready for who is told
    });
    future.add_done_callback([&](const mp::Future<int>& done) { seen.push_back(done.get() + 1); });
    std::jthread other([&] { promise.set_value(1); });
    BOOST_TEST(future.get() == 1);
    BOOST_TEST((seen == std::vector{1, 2}));
    future.add_done_callback([&](const mp::Future<int>&) { seen.push_back(9); });
    BOOST_TEST(seen.back() == 9); // at once
}

BOOST_AUTO_TEST_CASE(a_callback_that_throws_stops_nobody) {
    mp::Promise<int> promise;
    const auto future = promise.get_future();
    int called = 0;
    future.add_done_callback([&](const mp::Future<int>&) -> void {
        ++called;
        throw std::runtime_error("in a callback, as it should be");
    });
    future.add_done_callback([&](const mp::Future<int>&) { ++called; });
    promise.set_value(1);
    BOOST_TEST(called == 2);
}

BOOST_AUTO_TEST_CASE(then_chains_and_passes_exceptions_on) {
    mp::Promise<int> promise;
    const auto text = promise.get_future().then([](int n) { return n + 1; }).then([](int n) {
        return std::to_string(n);
    });
    promise.set_value(41);
    BOOST_TEST(text.get() == "42");

    mp::Promise<void> failing;
    bool called = false;
    const auto after = failing.get_future().then([&] { called = true; });
    failing.set_exception(failure());
    support::expect_error<std::runtime_error>([&] { after.get(); }, {"test"});
    BOOST_TEST(!called);
}

BOOST_AUTO_TEST_CASE(then_sees_what_cannot_be_copied_and_keeps_what_a_reference_means) {
    mp::Promise<std::unique_ptr<std::string>> promise;
    const auto future = promise.get_future();
    const mp::Future<std::string> text =
        future.then([](const auto& pointer) -> const std::string& { return *pointer; });
    promise.set_value(std::make_unique<std::string>("kept"));
    future.get()->assign("changed since");
    BOOST_TEST(text.get() == "kept");
}

// What does not fit is refused where it is written, not inside of the library.
template <class T, class... U>
concept can_be_set = requires(mp::Promise<T> promise, U... value) {
    promise.set_value(value...);
};
static_assert(can_be_set<int, int> && can_be_set<void> && can_be_set<std::string, const char*>);
static_assert(!can_be_set<int*, long> && !can_be_set<int, std::string> && !can_be_set<void, int>);
template <class T, class F>
concept can_go_on = requires(mp::Future<T> future, F f) {
    future.then(f);
};
static_assert(can_go_on<int, int (*)(long)> && can_go_on<void, void (*)()>);
static_assert(!can_go_on<int, void (*)()> && !can_go_on<void, void (*)(int)>);

// Without the flag `announced` get() returned here before the callback, or waited for ever.
BOOST_AUTO_TEST_CASE(a_thousand_waiters_lose_no_wake_up) {
    for (int round = 0; round < support::scaled(300); ++round) {
        mp::Promise<int> promise;
        const auto future = promise.get_future();
        std::atomic<bool> called = false;
        future.add_done_callback([&](const mp::Future<int>&) {
            std::this_thread::yield();
            called = true;
        });
        std::vector<std::jthread> waiters;
        for (int i = 0; i < 3; ++i)
            waiters.emplace_back([future, &called] {
                support::demand(future.get() == 5);
                support::demand(called.load());
            });
        promise.set_value(5);
    }
}

BOOST_AUTO_TEST_SUITE_END()
