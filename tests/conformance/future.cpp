#include <multifork/pool/future.hpp>
#include <multifork/pool/wait.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

// Rows E of the table that are about futures. Ours have one cancelled state, not two; a wait with a
// time limit is wait_for(), which says false where Python throws TimeoutError.

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

using Future = mp::Future<int>;

/// Futures in each of the states, with the promises that keep two of them open.
struct Each {
    mp::Promise<int> pending_promise, running_promise;
    Future pending = pending_promise.get_future();
    Future running = running_promise.get_future();
    Future cancelled, failed, successful;

    Each() {
        support::demand(running_promise.set_running());
        mp::Promise<int> promise;
        cancelled = promise.get_future();
        support::demand(cancelled.cancel());
        promise = {};
        failed = promise.get_future();
        promise.set_exception(std::make_exception_ptr(std::runtime_error("test")));
        promise = {};
        successful = promise.get_future();
        promise.set_value(42);
    }
    [[nodiscard]] std::vector<Future> all() const {
        return {pending, running, cancelled, failed, successful};
    }
};

template <class Ask>
void expect_states(Ask ask, const std::vector<bool>& expected) {
    const Each each;
    const std::vector<Future> all = each.all();
    for (std::size_t i = 0; i < all.size(); ++i)
        BOOST_TEST(ask(all[i]) == expected[i], all[i].to_string());
}

bool contains(const std::vector<Future>& futures, const Future& wanted) {
    return std::any_of(futures.begin(), futures.end(),
                       [&](const Future& f) { return f.shared_state() == wanted.shared_state(); });
}

} // namespace

BOOST_AUTO_TEST_SUITE(future)

BOOST_AUTO_TEST_CASE(E_042_callback_with_a_result) {
    mp::Promise<int> promise;
    int got = 0;
    promise.get_future().add_done_callback([&](const Future& f) { got = f.get(); });
    promise.set_value(5);
    BOOST_TEST(got == 5);
}

BOOST_AUTO_TEST_CASE(E_043_callback_with_an_exception) {
    mp::Promise<int> promise;
    bool called = false;
    promise.get_future().add_done_callback([&](const Future& f) {
        called = true;
        support::expect_error<std::runtime_error>([&] { std::rethrow_exception(f.exception()); },
                                                  {"test"});
    });
    promise.set_exception(std::make_exception_ptr(std::runtime_error("test")));
    BOOST_TEST(called);
}

BOOST_AUTO_TEST_CASE(E_044_callback_with_cancel) {
    mp::Promise<int> promise;
    Future future = promise.get_future();
    bool was_cancelled = false;
    future.add_done_callback([&](const Future& f) { was_cancelled = f.cancelled(); });
    BOOST_TEST(future.cancel());
    BOOST_TEST(was_cancelled);
}

BOOST_AUTO_TEST_CASE(E_046_callback_when_it_is_there) {
    const Each each;
    std::thread::id called_by;
    int got = 0;
    each.successful.add_done_callback([&](const Future& f) {
        called_by = std::this_thread::get_id();
        got = f.get();
    });
    BOOST_TEST((called_by == std::this_thread::get_id()));
    BOOST_TEST(got == 42);
}

BOOST_AUTO_TEST_CASE(E_047_callback_when_it_has_failed) {
    const Each each;
    bool has_error = false;
    each.failed.add_done_callback([&](const Future& f) { has_error = f.exception() != nullptr; });
    BOOST_TEST(has_error);
}

BOOST_AUTO_TEST_CASE(E_048_callback_when_it_was_cancelled) {
    const Each each;
    bool was_cancelled = false;
    each.cancelled.add_done_callback([&](const Future& f) { was_cancelled = f.cancelled(); });
    BOOST_TEST(was_cancelled);
}

BOOST_AUTO_TEST_CASE(E_050_text) {
    const Each each;
    BOOST_TEST(each.pending.to_string() == "<Future pending>");
    BOOST_TEST(each.running.to_string() == "<Future running>");
    BOOST_TEST(each.cancelled.to_string() == "<Future cancelled>");
    BOOST_TEST(each.failed.to_string() == "<Future finished raised std::runtime_error>");
    BOOST_TEST(fmt::format("{}", each.successful) == "<Future finished returned int>");
}

BOOST_AUTO_TEST_CASE(E_052_cancelled) {
    expect_states([](const Future& f) { return f.cancelled(); },
                  {false, false, true, false, false});
}
BOOST_AUTO_TEST_CASE(E_053_ready) {
    expect_states([](const Future& f) { return f.ready(); }, {false, false, true, true, true});
}
BOOST_AUTO_TEST_CASE(E_054_running) {
    expect_states([](const Future& f) { return f.running(); }, {false, true, false, false, false});
}

BOOST_AUTO_TEST_CASE(E_055_result_with_a_time_limit) {
    const Each each;
    BOOST_TEST(!each.pending.wait_for(0s));
    BOOST_TEST(!each.running.wait_for(0s));
    BOOST_TEST(each.cancelled.wait_for(0s));
    BOOST_CHECK_THROW(static_cast<void>(each.cancelled.get()), mp::Cancelled);
    BOOST_CHECK_THROW(static_cast<void>(each.failed.get()), std::runtime_error);
    BOOST_TEST(each.successful.get() == 42);
}

BOOST_AUTO_TEST_CASE(E_056_result_that_comes) {
    mp::Promise<int> promise;
    const Future future = promise.get_future();
    std::jthread other([&] {
        std::this_thread::sleep_for(50ms);
        promise.set_value(42);
    });
    BOOST_TEST(future.wait_for(60s));
    BOOST_TEST(future.get() == 42);
}

BOOST_AUTO_TEST_CASE(E_057_result_that_is_cancelled) {
    mp::Promise<int> promise;
    Future future = promise.get_future();
    std::jthread other([future]() mutable {
        std::this_thread::sleep_for(50ms);
        support::demand(future.cancel());
    });
    BOOST_TEST(future.wait_for(60s));
    BOOST_CHECK_THROW(static_cast<void>(future.get()), mp::Cancelled);
}

BOOST_AUTO_TEST_CASE(E_058_exception) {
    const Each each;
    BOOST_CHECK_THROW(static_cast<void>(each.cancelled.exception()), mp::Cancelled);
    BOOST_TEST((each.failed.exception() != nullptr));
    BOOST_TEST((each.successful.exception() == nullptr));
}

BOOST_AUTO_TEST_CASE(E_059_exception_that_comes) {
    mp::Promise<int> promise;
    const Future future = promise.get_future();
    std::jthread other([&] {
        std::this_thread::sleep_for(50ms);
        promise.set_exception(std::make_exception_ptr(std::runtime_error("test")));
    });
    BOOST_TEST((future.exception() != nullptr));
}

BOOST_AUTO_TEST_CASE(E_060_a_second_result) {
    mp::Promise<int> promise;
    promise.set_value(1);
    support::expect_error<mp::InvalidState>([&] { promise.set_value(2); }, {"finished"});
    BOOST_TEST(promise.get_future().get() == 1);
}

BOOST_AUTO_TEST_CASE(E_061_a_second_exception) {
    mp::Promise<int> promise;
    promise.set_exception(std::make_exception_ptr(std::runtime_error("first")));
    support::expect_error<mp::InvalidState>(
        [&] { promise.set_exception(std::make_exception_ptr(std::runtime_error("second"))); },
        {"finished"});
    support::expect_error<std::runtime_error>(
        [&] { static_cast<void>(promise.get_future().get()); }, {"first"});
}

BOOST_AUTO_TEST_CASE(E_062_as_completed) {
    Each each;
    std::jthread other([&] {
        std::this_thread::sleep_for(20ms);
        each.running_promise.set_value(1);
        each.pending_promise.set_value(2);
    });
    std::vector<Future> got;
    for (const Future& future : mp::as_completed(each.all()))
        got.push_back(future);
    BOOST_TEST(got.size() == 5u);
    for (const Future& future : each.all())
        BOOST_TEST(contains(got, future));
}

BOOST_AUTO_TEST_CASE(E_063_as_completed_in_time) {
    for (const auto timeout : {0ms, 100ms}) {
        const Each each;
        std::vector<Future> got;
        const auto go = [&] {
            const std::vector<Future> four{each.pending, each.cancelled, each.failed,
                                           each.successful};
            for (const Future& future : mp::as_completed(four, timeout))
                got.push_back(future);
        };
        BOOST_CHECK_THROW(go(), mp::TimedOut);
        BOOST_TEST(got.size() == 3u);
        BOOST_TEST(!contains(got, each.pending));
    }
}

BOOST_AUTO_TEST_CASE(E_065_as_completed_keeps_nothing) {
    std::vector<Future> given;
    for (int i = 0; i < 10; ++i) {
        mp::Promise<int> promise;
        promise.set_value(i);
        given.push_back(promise.get_future());
    }
    auto futures = mp::as_completed(given);
    given.clear();
    while (auto future = futures.next())
        BOOST_TEST(future->shared_state().use_count() == 1);
}

BOOST_AUTO_TEST_CASE(E_066_what_as_completed_says) {
    const Each each;
    auto futures = mp::as_completed(
        std::vector<Future>{each.pending, each.running, each.failed, each.successful}, 0s);
    BOOST_TEST(futures.next().has_value());
    BOOST_TEST(futures.next().has_value());
    support::expect_error<mp::TimedOut>([&] { static_cast<void>(futures.next()); },
                                        {"2 (of 4) futures unfinished"});
}

BOOST_AUTO_TEST_CASE(E_067_the_same_future_twice) {
    mp::Promise<int> promise;
    const Future future = promise.get_future();
    std::jthread other([&] {
        std::this_thread::sleep_for(20ms);
        promise.set_value(1);
    });
    const auto [done, not_done] = mp::wait(std::vector<Future>{future, future});
    BOOST_TEST(done.size() == 1u);
    BOOST_TEST(not_done.empty());
}

BOOST_AUTO_TEST_CASE(E_069_first_completed) {
    const Each each;
    const auto [done, not_done] =
        mp::wait(std::vector<Future>{each.cancelled, each.successful, each.pending},
                 mp::return_when::first_completed);
    BOOST_TEST(done.size() == 2u);
    BOOST_TEST(contains(not_done, each.pending));
}

BOOST_AUTO_TEST_CASE(E_070_first_exception) {
    mp::Promise<int> quick, fails, slow;
    const std::vector<Future> all{quick.get_future(), fails.get_future(), slow.get_future()};
    std::jthread other([&] {
        quick.set_value(1);
        std::this_thread::sleep_for(20ms);
        fails.set_exception(std::make_exception_ptr(std::runtime_error("test")));
    });
    const auto [done, not_done] = mp::wait(all, mp::return_when::first_exception);
    BOOST_TEST(done.size() == 2u);
    BOOST_TEST(contains(not_done, all[2]));
}

BOOST_AUTO_TEST_CASE(E_072_first_exception_that_is_there) {
    const Each each;
    const auto [done, not_done] =
        mp::wait(std::vector<Future>{each.failed, each.pending}, mp::return_when::first_exception);
    BOOST_TEST(contains(done, each.failed));
    BOOST_TEST(contains(not_done, each.pending));
}

BOOST_AUTO_TEST_CASE(E_073_all_completed) {
    Each each;
    std::jthread other([&] {
        each.pending_promise.set_exception(std::make_exception_ptr(std::runtime_error("test")));
        each.running_promise.set_value(1);
    });
    const auto [done, not_done] = mp::wait(each.all());
    BOOST_TEST(done.size() == 5u);
    BOOST_TEST(not_done.empty());
}

BOOST_AUTO_TEST_CASE(E_074_wait_in_time) {
    const Each each;
    const auto [done, not_done] =
        mp::wait(std::vector<Future>{each.cancelled, each.failed, each.successful, each.pending},
                 mp::return_when::all_completed, 50ms);
    BOOST_TEST(done.size() == 3u);
    BOOST_TEST(contains(not_done, each.pending));
}

BOOST_AUTO_TEST_CASE(E_075_no_completion_is_missed) {
    for (int round = 0; round < support::scaled(50); ++round) {
        std::vector<mp::Promise<int>> promises(100);
        std::vector<Future> futures;
        for (auto& promise : promises)
            futures.push_back(promise.get_future());
        std::vector<std::jthread> threads;
        for (std::size_t t = 0; t < 4; ++t)
            threads.emplace_back([&promises, t] {
                for (std::size_t i = t; i < promises.size(); i += 4)
                    promises[i].set_value(1);
            });
        BOOST_TEST(mp::wait(futures).done.size() == 100u);
    }
}

BOOST_AUTO_TEST_SUITE_END()
