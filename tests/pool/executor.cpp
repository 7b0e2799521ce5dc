#include <multifork/pool/executor.hpp>

#include <multifork/channel/value.hpp>
#include <multifork/pool/wait.hpp>
#include <multifork/sync/event.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/program.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <functional>
#include <map>
#include <numeric>
#include <ranges>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

static_assert(mp::Executor<mp::ProcessPoolExecutor> && mp::Executor<mp::ThreadPoolExecutor>);

int square(int x) {
    return x * x;
}
int pass(mp::Event gate, int n) {
    gate.wait();
    return n;
}
int begin_and_pass(mp::Event begun, mp::Event gate) {
    begun.set();
    gate.wait();
    return 1;
}

std::vector<int> numbers(int count) {
    std::vector<int> all(static_cast<std::size_t>(count));
    std::iota(all.begin(), all.end(), 0);
    return all;
}

/// What holds for both kinds, with one worker.
template <mp::Executor E>
void check_cancel_futures(E executor) {
    mp::Event begun, gate;
    auto running = executor.submit(begin_and_pass, begun, gate);
    std::vector<mp::Future<int>> waiting;
    for (int i = 0; i < 20; ++i)
        waiting.push_back(executor.submit(square, i));
    begun.wait();
    executor.shutdown(false, true);
    for (const auto& future : waiting)
        BOOST_TEST(future.cancelled());
    BOOST_TEST(!running.ready());
    gate.set();
    executor.shutdown();
    BOOST_TEST(running.get() == 1);
}

template <mp::Executor E>
void check_map_in_time(E executor) {
    mp::Event gate;
    auto results = executor.map(
        [](mp::Event g, int n) {
            if (n == 2)
                g.wait();
            return n;
        },
        std::vector<mp::Event>(30, gate), numbers(30), {.timeout = 3s});
    BOOST_TEST(results.next().value() == 0);
    BOOST_TEST(results.next().value() == 1);
    support::expect_error<mp::TimedOut>([&] { static_cast<void>(results.next()); },
                                        {"after 2 results"});
    BOOST_TEST(!results.next().has_value());
    gate.set();
}

template <mp::Executor E>
void check_map_inputs(E executor) {
    // As far ahead as was asked for, of an input without an end.
    int taken = 0;
    auto input = std::views::iota(0) | std::views::transform([&taken](int i) {
                     ++taken;
                     return i;
                 });
    {
        auto results = executor.map(square, input, {.chunk_size = 2, .buffer_size = 3});
        BOOST_TEST(taken == 6);
        for (int i = 0; i < 20; ++i)
            BOOST_TEST(results.next().value() == i * i);
        BOOST_TEST(taken <= 26);
    }
    // To the end of the shortest.
    std::vector<std::string> words;
    for (const std::string& word :
         executor.map([](int n, const std::string&a,
                         const std::string&b) { return std::to_string(n) + a + b; },
                      numbers(9), std::vector<std::string>{"a", "b", "c"},
                      std::vector<std::string>{"x", "y"}))
        words.push_back(word);
    BOOST_TEST((words == std::vector<std::string>{"0ax", "1by"}));
    int steps = 0;
    for ([[maybe_unused]] const auto nothing : executor.map([](int) {}, numbers(7)))
        ++steps;
    BOOST_TEST(steps == 7);
    // An input that throws: at once, or with a buffer when its turn comes.
    const auto thrower = std::views::iota(0) | std::views::transform([](int i) {
                             if (i == 3)
                                 throw std::domain_error("halfway");
                             return i;
                         });
    support::expect_error<std::domain_error>([&] { executor.map(square, thrower); }, {"halfway"});
    auto results = executor.map(square, thrower, {.buffer_size = 1});
    for (int i = 0; i < 3; ++i)
        BOOST_TEST(results.next().value() == i * i);
    support::expect_error<std::domain_error>([&] { static_cast<void>(results.next()); },
                                             {"halfway"});
    for (const int bad : {0, -1}) {
        support::expect_error<mp::InvalidArgument>(
            [&] { executor.map(square, numbers(3), {.chunk_size = bad}); }, {"at least 1"});
        support::expect_error<mp::InvalidArgument>(
            [&] { executor.map(square, numbers(3), {.buffer_size = bad}); }, {"at least 1"});
    }
    BOOST_TEST(executor.submit(square, 5).get() == 25);
}

template <mp::Executor E>
void check_half_read_map(E executor) {
    mp::Event shut;
    mp::Value<int> run{0};
    {
        auto results = executor.map(
            [](mp::Event g, mp::Value<int> count, int n) {
                if (n > 0)
                    g.wait();
                count.fetch_add(1);
                return n;
            },
            std::vector<mp::Event>(50, shut), std::vector<mp::Value<int>>(50, run), numbers(50));
        BOOST_TEST(results.next().value() == 0);
    }
    shut.set();
    executor.shutdown();
    BOOST_TEST(run.load() <= 2); // the one in work is not taken back
}

template <mp::Executor E>
void check_callbacks_and_waits(E executor) {
    std::atomic<int> called = 0;
    std::vector<mp::Future<int>> futures;
    for (int i = 0; i < 10; ++i) {
        futures.push_back(executor.submit(square, i));
        futures.back().add_done_callback(
            [&](const mp::Future<int>& done) { called += done.get(); });
    }
    std::map<mp::Future<int>, int> what_for;
    std::unordered_set<mp::Future<int>> all(futures.begin(), futures.end());
    for (int i = 0; i < 10; ++i)
        what_for[futures[static_cast<std::size_t>(i)]] = i;
    int sum = 0;
    for (const mp::Future<int>& done : mp::as_completed(futures, 60s)) {
        sum += done.get();
        BOOST_TEST(done.get() == square(what_for.at(done)));
        BOOST_TEST(all.erase(done) == 1u);
    }
    BOOST_TEST(sum == 285);
    BOOST_TEST(called.load() == 285);
    mp::Event gate;
    std::vector<mp::Future<int>> two{executor.submit(square, 3), executor.submit(pass, gate, 4)};
    auto [done, not_done] = mp::wait(two, mp::return_when::first_completed);
    BOOST_TEST(done.size() == 1u);
    BOOST_TEST(not_done.size() == 1u);
    BOOST_TEST((not_done.at(0) == two.at(1) && done.at(0) != two.at(1)));
    BOOST_TEST(mp::wait(two, 20ms).not_done.size() == 1u);
    gate.set();
    BOOST_TEST(mp::wait(two).done.size() == 2u);
}

template <mp::Executor E>
void check_child(E& executor) {
    BOOST_TEST(executor.submit(square, 2).get() == 4);
    support::run_in_child([&] {
        support::demand(support::throws<mp::ProcessError>(
            [&] { static_cast<void>(executor.submit(square, 1)); }));
        executor.shutdown();
        const E gone = std::move(executor);
    });
    BOOST_TEST(executor.submit(square, 3).get() == 9);
}

const support::Program leaves_work{"leaves_work", [] {
                                       static mp::ThreadPoolExecutor threads{1};
                                       static mp::ProcessPoolExecutor processes{1};
                                       const auto late = [](int n) {
                                           std::this_thread::sleep_for(50ms);
                                           std::printf("%d\n", n);
                                           std::fflush(stdout);
                                       };
                                       for (int i = 0; i < 2; ++i) {
                                           static_cast<void>(processes.submit(late, 2));
                                           static_cast<void>(threads.submit(late, 1));
                                       }
                                       threads.shutdown(false);
                                       return 0;
                                   }};

} // namespace

BOOST_AUTO_TEST_SUITE(executor)

BOOST_AUTO_TEST_CASE(shutdown_can_cancel_what_has_not_begun) {
    check_cancel_futures(mp::ProcessPoolExecutor{1});
    check_cancel_futures(mp::ThreadPoolExecutor{1});
}

BOOST_AUTO_TEST_CASE(map_gives_up_when_its_time_is_up) {
    check_map_in_time(mp::ProcessPoolExecutor{1});
    check_map_in_time(mp::ThreadPoolExecutor{1});
}

BOOST_AUTO_TEST_CASE(map_takes_inputs_of_all_kinds) {
    check_map_inputs(mp::ProcessPoolExecutor{2});
    check_map_inputs(mp::ThreadPoolExecutor{2});
}

BOOST_AUTO_TEST_CASE(a_map_that_is_dropped_halfway_is_cancelled) {
    check_half_read_map(mp::ProcessPoolExecutor{1});
    check_half_read_map(mp::ThreadPoolExecutor{1});
}

BOOST_AUTO_TEST_CASE(futures_can_be_waited_for_together) {
    check_callbacks_and_waits(mp::ProcessPoolExecutor{2});
    check_callbacks_and_waits(mp::ThreadPoolExecutor{2});
}

BOOST_AUTO_TEST_CASE(a_function_that_changes_itself_is_copied_for_each_chunk) {
    mp::ThreadPoolExecutor executor{3};
    auto results =
        executor.map([n = 0](int) mutable { return ++n; }, numbers(30), {.chunk_size = 10});
    for (int i = 0; i < 30; ++i)
        BOOST_TEST(results.next().value() == i % 10 + 1);
}

BOOST_AUTO_TEST_CASE(a_worker_that_is_killed_idle_breaks_the_executor) {
    mp::ProcessPoolExecutor executor{2};
    const int pid = executor.submit([] { return static_cast<int>(::getpid()); }).get();
    ::kill(pid, SIGKILL);
    support::wait_until([&] {
        return support::throws<mp::BrokenProcessPool>(
            [&] { static_cast<void>(executor.submit(square, 1)); });
    });
    executor.shutdown();
    BOOST_TEST(executor.processes().empty());
}

BOOST_AUTO_TEST_CASE(all_futures_of_a_broken_executor_fail) {
    mp::ProcessPoolExecutor executor{2};
    mp::Event never;
    std::vector<mp::Future<int>> waiting;
    for (int i = 0; i < 30; ++i)
        waiting.push_back(executor.submit(pass, never, i));
    const auto map = [&] {
        for (const int n : executor.map(square, numbers(5)))
            static_cast<void>(n);
    };
    support::wait_until([&] { return waiting[1].running(); });
    executor.processes()[0].kill();
    for (const auto& future : waiting)
        support::expect_error<mp::BrokenProcessPool>([&] { static_cast<void>(future.get()); },
                                                     {"exit code -9"});
    BOOST_CHECK_THROW(map(), mp::BrokenProcessPool);
}

BOOST_AUTO_TEST_CASE(an_executor_can_be_told_to_go_on_after_a_death) {
    mp::ProcessPoolExecutor executor{2, {.when_worker_dies = mp::on_worker_death::fail_task}};
    const auto killed = executor.submit([] { ::raise(SIGKILL); });
    BOOST_CHECK_THROW(killed.get(), mp::WorkerDied);
    BOOST_TEST(executor.submit(square, 4).get() == 16);
}

BOOST_AUTO_TEST_CASE(workers_are_replaced_after_as_many_tasks_as_asked_for) {
    mp::ProcessPoolExecutor executor{
        1, {.start_method = mp::StartMethod::fork, .max_tasks_per_child = 2}};
    std::set<int> pids;
    for (int i = 0; i < 6; ++i)
        pids.insert(executor.submit([] { return static_cast<int>(::getpid()); }).get());
    BOOST_TEST(pids.size() == 3u);
    for (const int bad : {0, -1})
        support::expect_error<mp::InvalidArgument>(
            [&] { mp::ProcessPoolExecutor(1, {.max_tasks_per_child = bad}); }, {"at least 1"});
}

BOOST_AUTO_TEST_CASE(an_initializer_that_throws_breaks_an_executor_of_threads) {
    mp::ThreadPoolExecutor executor{
        2, {}, [](int n) { throw std::out_of_range(std::to_string(n)); }, 77};
    // By submit() already, if the thread was quicker.
    const auto all = [&] {
        for (int i = 0; i < 10; ++i)
            executor.submit(square, i).wait();
    };
    support::expect_error<mp::BrokenThreadPool>(all, {"initializer", "out_of_range", "77"});
    executor.shutdown();
    support::expect_error<mp::InvalidState>([&] { static_cast<void>(executor.submit(square, 1)); },
                                            {"shut down"});
}

BOOST_AUTO_TEST_CASE(an_executor_moves) {
    mp::ThreadPoolExecutor one{1};
    auto future = one.submit(square, 6);
    mp::ThreadPoolExecutor other = std::move(one);
    BOOST_TEST(other.submit(square, 7).get() == 49);
    support::expect_error<mp::InvalidState>([&] { static_cast<void>(one.submit(square, 1)); },
                                            {"moved from"}); // NOLINT
    other = mp::ThreadPoolExecutor{2};                       // what the first has to do is done
    BOOST_TEST(future.get() == 36);
    BOOST_TEST(other.max_workers() == 2);
    BOOST_TEST(other.to_string() == "<ThreadPoolExecutor max_workers=2 open>");
}

BOOST_AUTO_TEST_CASE(a_task_cannot_wait_for_the_end_of_its_executor) {
    mp::ThreadPoolExecutor executor{1};
    auto task = executor.submit([&executor] { executor.shutdown(); });
    BOOST_CHECK_THROW(task.get(), mp::WouldDeadlock);
}

BOOST_AUTO_TEST_CASE(a_forked_child_cannot_use_an_executor) {
    mp::set_fork_policy(mp::fork_with_threads::allow);
    mp::ProcessPoolExecutor processes{1};
    check_child(processes);
    mp::ThreadPoolExecutor threads{1};
    check_child(threads);
}

BOOST_AUTO_TEST_CASE(what_was_submitted_is_done_before_the_program_ends) {
    const support::ProgramResult result = support::run_program("leaves_work");
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.err == "");
    BOOST_TEST(std::count(result.out.begin(), result.out.end(), '1') == 2, result.out);
    BOOST_TEST(std::count(result.out.begin(), result.out.end(), '2') == 2, result.out);
}

BOOST_AUTO_TEST_SUITE_END()
