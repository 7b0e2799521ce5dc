#include <multifork/pool/thread_pool.hpp>
#include <multifork/pool/wait.hpp>
#include <multifork/process/process.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <numeric>
#include <ranges>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <pthread.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

int square(int x) {
    return x * x;
}

/// What tasks wait for.
class Gate {
public:
    void open() {
        open_.store(true);
        open_.notify_all();
    }
    void pass() const { open_.wait(false); }

private:
    std::atomic<bool> open_{false};
};

std::vector<int> numbers(int count) {
    std::vector<int> all(static_cast<std::size_t>(count));
    std::iota(all.begin(), all.end(), 0);
    return all;
}

} // namespace

BOOST_AUTO_TEST_SUITE(thread_pool)

BOOST_AUTO_TEST_CASE(a_task_gets_what_it_was_given_by_value_and_by_reference) {
    mp::ThreadPool pool{2};
    BOOST_TEST(pool.apply(square, 12) == 144);
    std::string text = "a";
    pool.apply([](std::string& t, const std::string& more) { t += more; }, std::ref(text), "bc");
    BOOST_TEST(text == "abc");
    auto moved = pool.submit([](std::unique_ptr<int> p) { return p; }, std::make_unique<int>(7));
    BOOST_TEST(*std::move(moved).get() == 7);
    int captured = 0;
    pool.apply_async([&captured] { captured = 5; }).get();
    BOOST_TEST(captured == 5);
    const std::string word = "long";
    BOOST_TEST(pool.apply(&std::string::size, word) == 4u);
}

BOOST_AUTO_TEST_CASE(map_keeps_the_order_for_every_chunk_size) {
    mp::ThreadPool pool{4};
    const std::vector<int> in = numbers(1000);
    std::vector<int> expected = in;
    std::transform(in.begin(), in.end(), expected.begin(), square);
    BOOST_TEST((pool.map(square, in) == expected));
    for (const int chunk : {1, 3, 250, 1000, 5000})
        BOOST_TEST((pool.map(square, in, {.chunk_size = chunk}) == expected), "chunk " << chunk);
    BOOST_TEST(pool.map(square, std::vector<int>{}).empty());
    BOOST_TEST((pool.map(square, in | std::views::filter([](int x) { return x < 4; })) ==
                std::vector<int>{0, 1, 4, 9}));
    for (const int chunk : {0, -1})
        support::expect_error<mp::InvalidArgument>(
            [&] { pool.map(square, in, {.chunk_size = chunk}); }, {"at least 1"});
}

BOOST_AUTO_TEST_CASE(map_takes_and_gives_what_is_not_plain) {
    mp::ThreadPool pool{3};
    const std::vector<std::string> words{"a", "bb", "ccc"};
    BOOST_TEST((pool.map([](const std::string& w) { return w + w; }, words) ==
                std::vector<std::string>{"aa", "bbbb", "cccccc"}));
    BOOST_TEST((pool.map([](int x) { return x % 2 == 0; }, numbers(100), {.chunk_size = 1})[98]));
    BOOST_TEST((pool.map([](bool b) { return !b; }, std::vector<bool>{true, false}) ==
                std::vector<bool>{false, true}));
    std::vector<std::unique_ptr<int>> owned;
    for (int i = 0; i < 20; ++i)
        owned.push_back(std::make_unique<int>(i));
    const auto back = pool.map([](std::unique_ptr<int> p) { return p; }, std::move(owned));
    for (int i = 0; i < 20; ++i)
        BOOST_TEST(*back[static_cast<std::size_t>(i)] == i);
    std::atomic<int> sum = 0;
    pool.map([&sum](int x) { sum += x; }, numbers(101));
    BOOST_TEST(sum.load() == 5050);
    using Pair = std::pair<int, std::string>;
    BOOST_TEST((pool.starmap([](int n, const std::string& s) { return s + std::to_string(n); },
                             std::vector<Pair>{{1, "x"}, {2, "y"}}) ==
                std::vector<std::string>{"x1", "y2"}));
}

BOOST_AUTO_TEST_CASE(a_function_that_changes_itself_is_copied_for_each_chunk) {
    mp::ThreadPool pool{4};
    const auto counts =
        pool.map([n = 0](int) mutable { return ++n; }, numbers(100), {.chunk_size = 10});
    for (std::size_t i = 0; i < counts.size(); ++i)
        BOOST_TEST(counts[i] == static_cast<int>(i % 10) + 1);
}

BOOST_AUTO_TEST_CASE(the_first_item_that_failed_says_why) {
    mp::ThreadPool pool{4};
    std::atomic<int> run = 0;
    const auto f = [&run](int x) {
        ++run;
        if (x == 30 || x == 70)
            throw std::out_of_range(std::to_string(x));
        return x;
    };
    for (const int chunk : {1, 7, 100}) {
        run = 0;
        support::expect_error<std::out_of_range>(
            [&] { pool.map(f, numbers(100), {.chunk_size = chunk}); }, {"30"});
        if (chunk == 1)
            BOOST_TEST(run.load() == 100); // the others are done all the same
    }
    const auto failed = pool.submit([](int) -> int { throw std::logic_error("no"); }, 1);
    BOOST_CHECK_THROW(failed.get(), std::logic_error);
    BOOST_TEST(!mp::remote_cause(failed.exception()).has_value());
    support::expect_error<std::domain_error>(
        [&] {
            pool.map(square, std::views::iota(0, 9) | std::views::transform([](int i) {
                                 return i < 5 ? i : throw std::domain_error("halfway");
                             }));
        },
        {"halfway"});
    BOOST_TEST(pool.apply(square, 3) == 9);
}

BOOST_AUTO_TEST_CASE(imap_takes_from_an_endless_input_as_it_is_read) {
    mp::ThreadPool pool{2};
    std::atomic<int> taken = 0;
    auto input = std::views::iota(0) | std::views::transform([&taken](int i) {
                     ++taken;
                     return i;
                 });
    auto results = pool.imap(square, input, {.look_ahead = 3});
    for (int i = 0; i < 10; ++i)
        BOOST_TEST(results.next().value() == i * i);
    BOOST_TEST(taken.load() <= 13);
    std::vector<int> got;
    for (const int result : pool.imap_unordered(square, numbers(50), {.chunk_size = 4}))
        got.push_back(result);
    std::sort(got.begin(), got.end());
    BOOST_TEST((got == pool.map(square, numbers(50))));
}

BOOST_AUTO_TEST_CASE(progress_is_told_in_order) {
    mp::ThreadPool pool{4};
    std::vector<std::size_t> seen;
    const auto progress = [&seen](std::size_t done, std::size_t all) {
        if (all == 100)
            seen.push_back(done);
    };
    pool.map(square, numbers(100), {.chunk_size = 7, .progress = progress});
    BOOST_TEST(seen.size() == 15u);
    BOOST_TEST(std::is_sorted(seen.begin(), seen.end()));
    BOOST_TEST(seen.back() == 100u);
}

BOOST_AUTO_TEST_CASE(what_has_not_begun_can_be_cancelled) {
    mp::ThreadPool pool{1};
    Gate gate;
    std::latch begun(1);
    auto running = pool.submit([&] {
        begun.count_down();
        gate.pass();
    });
    auto waiting = pool.submit(square, 2);
    begun.wait();
    BOOST_TEST(running.running());
    BOOST_TEST(!running.cancel());
    BOOST_TEST(waiting.cancel());
    BOOST_TEST(waiting.cancelled());
    gate.open();
    running.get();
    BOOST_CHECK_THROW(static_cast<void>(waiting.get()), mp::Cancelled);
    BOOST_TEST(pool.apply(square, 3) == 9);
}

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
    {
        mp::ThreadPool pool{1};
        std::latch begun(1);
        static_cast<void>(pool.submit([&] {
            begun.count_down();
            std::this_thread::sleep_for(50ms);
            ended = true;
        }));
        begun.wait();
        never = pool.submit(square, 1);
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
    for (int i = 0; i < 20; ++i)
        BOOST_TEST(pool.apply(square, i) == i * i);
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

BOOST_AUTO_TEST_CASE(tasks_may_make_tasks) {
    mp::ThreadPool pool{2};
    std::atomic<int> count = 0;
    mp::Promise<void> all;
    std::function<void(int)> split = [&](int n) {
        if (n > 0)
            for (int i = 0; i < 2; ++i)
                static_cast<void>(pool.submit(split, n - 1));
        if (++count == 255)
            all.set_value();
    };
    static_cast<void>(pool.submit(split, 7));
    all.get_future().get();
    BOOST_TEST(count.load() == 255);
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
