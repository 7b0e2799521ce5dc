#include <multifork/pool/thread_pool.hpp>
#include <multifork/process/process.hpp>

#include "pool/thread_work.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <latch>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>

// How a pool of threads, and each of its threads, begins and ends.

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

using support::Gate;
using support::numbers;
using support::square;

BOOST_AUTO_TEST_SUITE(thread_pool_ends)

BOOST_AUTO_TEST_CASE(close_lets_all_be_done_and_terminate_does_not) {
    std::atomic<int> done = 0;
    {
        mp::ThreadPool pool{2};
        const auto all = pool.map_async([&](int) { ++done; }, numbers(500), {.chunk_size = 1});
        support::expect_error<mp::InvalidState>([&] { pool.join(); }, {"close"});
        pool.close();
        support::expect_error<mp::InvalidState>([&] { static_cast<void>(pool.submit(square, 1)); },
                                                {"closed"});
        pool.join();
        pool.join();
        BOOST_TEST(all.ready());
        BOOST_TEST(done.load() == 500);
    }
    Gate gate;
    std::latch begun(2);
    mp::ThreadPool pool{2};
    done = 0;
    const auto map = pool.map_async(
        [&](int i) {
            if (i < 2)
                begun.count_down();
            gate.pass();
            ++done;
        },
        numbers(500), {.chunk_size = 1});
    const auto behind = pool.submit(square, 1);
    begun.wait();
    pool.terminate();
    gate.open();
    pool.join();
    BOOST_TEST(done.load() == 2);
    BOOST_CHECK_THROW(map.get(), mp::Cancelled);
    BOOST_CHECK_THROW(static_cast<void>(behind.get()), mp::Cancelled);
    BOOST_CHECK_THROW(pool.map(square, numbers(3)), mp::InvalidState);
    BOOST_TEST(pool.threads().empty());
}

BOOST_AUTO_TEST_CASE(the_end_of_the_scope_waits_for_what_runs) {
    std::atomic<bool> ended = false;
    mp::Future<int> never;
    Gate begun, dropped;
    {
        mp::ThreadPool pool{1};
        static_cast<void>(pool.submit([&] {
            begun.open();
            dropped.pass();
            std::this_thread::sleep_for(50ms);
            ended = true;
        }));
        begun.pass();
        never = pool.submit(square, 1);
        never.add_done_callback([&](const auto&) { dropped.open(); }); // by the end of the scope
    }
    BOOST_TEST(ended.load());
    BOOST_CHECK_THROW(static_cast<void>(never.get()), mp::Cancelled);
}

BOOST_AUTO_TEST_CASE(an_initializer_runs_once_in_each_thread) {
    std::mutex mutex;
    std::set<std::thread::id> where;
    const auto init = [&](int n) {
        const std::scoped_lock hold(mutex);
        if (n != 5 || !where.insert(std::this_thread::get_id()).second)
            throw std::logic_error("called twice, or without its argument");
    };
    mp::ThreadPool pool{3, {}, init, 5};
    pool.map(square, numbers(100), {.chunk_size = 1});
    pool.close();
    pool.join();
    BOOST_TEST(where.size() == 3u);
}

BOOST_AUTO_TEST_CASE(an_initializer_that_throws_breaks_the_pool) {
    Gate gate;
    mp::ThreadPool pool{2, {}, [&gate] {
                            gate.pass();
                            throw std::runtime_error("no licence");
                        }};
    const auto one = pool.submit(square, 1);
    const auto many = pool.map_async(square, numbers(10));
    gate.open();
    support::expect_error<mp::BrokenThreadPool>([&] { static_cast<void>(one.get()); },
                                                {"initializer", "no licence", "runtime_error"});
    BOOST_CHECK_THROW(many.get(), mp::BrokenPool);
    support::expect_error<mp::BrokenThreadPool>([&] { static_cast<void>(pool.submit(square, 1)); },
                                                {"no licence"});
    pool.join(); // a broken pool has ended
}

BOOST_AUTO_TEST_CASE(threads_are_started_on_demand_if_asked) {
    Gate gate;
    mp::ThreadPool pool{4, {.name = "demand", .start_on_demand = true}};
    BOOST_TEST(pool.threads().empty());
    for (int i = 0; i < 2000; ++i) // each finds the thread idle that has told of the one before
        static_cast<void>(pool.apply(square, i));
    BOOST_TEST(pool.threads().size() == 1u);
    std::vector<mp::Future<void>> blocked;
    for (int i = 0; i < 3; ++i)
        blocked.push_back(pool.submit([&gate] { gate.pass(); }));
    BOOST_TEST(pool.threads().size() == 3u);
    BOOST_TEST(pool.threads()[2].name == "demand_2");
    gate.open();
    for (const auto& each : blocked)
        each.get();
}

// A forced unwinding is no exception that TSan or ASan follow.
BOOST_AUTO_TEST_CASE(a_task_that_ends_its_thread_fails_alone,
                     *boost::unit_test::label("no_tsan") * boost::unit_test::label("no_asan")) {
    mp::ThreadPool pool{1};
    const auto ends = pool.submit([]() -> int { ::pthread_exit(nullptr); });
    support::expect_error<mp::WorkerDied>([&] { static_cast<void>(ends.get()); },
                                          {"ended", "pthread_exit"});
    BOOST_TEST(pool.apply(square, 3) == 9);
    std::atomic<int> done = 0;
    const auto map = pool.map_async(
        [&](int i) {
            if (i == 10)
                ::pthread_exit(nullptr);
            ++done;
        },
        numbers(50), {.chunk_size = 1});
    BOOST_CHECK_THROW(map.get(), mp::WorkerDied);
    BOOST_TEST(done.load() == 49);
    BOOST_TEST(pool.threads().size() == 1u);
}

BOOST_AUTO_TEST_CASE(bad_numbers_of_threads) {
    for (const int threads : {0, -1, 1'000'000})
        support::expect_error<mp::InvalidArgument>([&] { mp::ThreadPool pool{threads}; },
                                                   {std::to_string(threads), "at least 1"});
}

BOOST_AUTO_TEST_CASE(a_task_cannot_join_its_pool) {
    mp::ThreadPool pool{1};
    auto task = pool.submit([&pool] {
        pool.close();
        pool.join();
    });
    BOOST_CHECK_THROW(task.get(), mp::WouldDeadlock);
    pool.join();
}

BOOST_AUTO_TEST_CASE(a_forked_child_cannot_use_it_and_leaves_it_alone) {
    mp::set_fork_policy(mp::fork_with_threads::allow);
    mp::ThreadPool pool{2};
    BOOST_TEST(pool.apply(square, 2) == 4);
    mp::Process child{[&pool] {
        support::demand(
            support::throws<mp::ProcessError>([&] { static_cast<void>(pool.submit(square, 1)); }));
        const mp::ThreadPool mine = std::move(pool);
    }};
    child.start();
    support::expect_exit(child);
    BOOST_TEST(pool.apply(square, 3) == 9);
}

// Submitting, cancelling and reading from several threads, while the pool ends.
BOOST_AUTO_TEST_CASE(every_future_is_settled_when_the_pool_ends_amid_the_work) {
    for (int round = 0; round < 50; ++round) {
        std::vector<std::vector<mp::Future<int>>> all(3);
        std::atomic<bool> refused = false;
        {
            mp::ThreadPool pool{2, {.start_on_demand = round % 2 == 0}};
            std::vector<std::jthread> users;
            for (auto& mine : all)
                users.emplace_back([&] {
                    try {
                        for (int i = 0; i < 10'000 && !refused.load(); ++i) {
                            mine.push_back(pool.submit(square, i));
                            if (i % 7 == 0)
                                mine.back().cancel();
                        }
                    } catch (const mp::InvalidState&) {
                        refused = true;
                    }
                });
            std::this_thread::sleep_for(1ms);
            pool.terminate();
        }
        for (auto& mine : all)
            for (std::size_t i = 0; i < mine.size(); ++i) {
                BOOST_REQUIRE(mine[i].ready());
                if (!mine[i].cancelled() && mine[i].exception() == nullptr)
                    BOOST_REQUIRE(mine[i].get() == square(static_cast<int>(i)));
            }
    }
}

BOOST_AUTO_TEST_SUITE_END()
