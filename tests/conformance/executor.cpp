#include <multifork/pool/executor.hpp>

#include <multifork/channel/value.hpp>
#include <multifork/pool/wait.hpp>
#include <multifork/sync/semaphore.hpp>

#include "start_methods.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

// Rows E of the table that are about executors of processes. What ends a worker in the middle is in
// executor_deaths.cpp, threads are in executor_threads.cpp.

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

int power(int base, int exponent) {
    int result = 1;
    for (; exponent > 0; --exponent)
        result *= base;
    return result;
}
std::pair<int, int> divmod(int a, int b) {
    if (b == 0)
        throw std::domain_error("division by zero");
    return {a / b, a % b};
}
int mul(int x, int y) {
    return x * y;
}
int pass(mp::Semaphore gate, int n) {
    gate.acquire();
    return n;
}
int own_pid() {
    return ::getpid();
}

std::vector<int> numbers(int first, int count) {
    std::vector<int> all(static_cast<std::size_t>(count));
    std::iota(all.begin(), all.end(), first);
    return all;
}
template <class Results>
std::vector<int> all_of(Results&& results) {
    std::vector<int> all;
    for (const int result : results)
        all.push_back(result);
    return all;
}

// ---- the same for both kinds

template <mp::Executor E>
void check_map(E& executor) {
    const std::vector<int> in = numbers(0, 10);
    std::vector<int> expected;
    for (const int n : in)
        expected.push_back(power(n, n));
    BOOST_TEST((all_of(executor.map(power, in, in)) == expected));
    BOOST_TEST((all_of(executor.map(power, in, in, {.chunk_size = 3})) == expected));
}

template <mp::Executor E>
void check_map_exception(E& executor) {
    auto results = executor.map(divmod, std::vector<int>{1, 1, 1, 1}, std::vector<int>{2, 3, 0, 5});
    BOOST_TEST((results.next().value() == std::pair(0, 1)));
    BOOST_TEST((results.next().value() == std::pair(0, 1)));
    BOOST_CHECK_EXCEPTION(static_cast<void>(results.next()), std::domain_error,
                          [](const std::domain_error& error) {
                              return error.what() == std::string("division by zero");
                          });
    BOOST_TEST(!results.next().has_value());
}

template <mp::Executor E>
void check_shut(E& executor) {
    executor.shutdown();
    support::expect_error<mp::InvalidState>(
        [&] { static_cast<void>(executor.submit(power, 2, 5)); }, {"shut down"});
    executor.shutdown();
}

template <mp::Executor E>
void check_all_are_done(E& executor) {
    std::vector<mp::Future<int>> futures;
    for (int i = 0; i < 50; ++i)
        futures.push_back(executor.submit(
            [](int n) {
                std::this_thread::sleep_for(20ms);
                return n;
            },
            i));
    executor.shutdown();
    for (int i = 0; i < 50; ++i) {
        const mp::Future<int>& future = futures[static_cast<std::size_t>(i)];
        BOOST_TEST(future.ready());
        BOOST_TEST(future.get() == i);
    }
}

void reuse_one(const mp::Context& context) {
    mp::ProcessPoolExecutor executor{context, 4};
    for (const auto& [x, y] : {std::pair(12, 7), std::pair(33, 25), std::pair(-4, 9)})
        BOOST_TEST(executor.submit(mul, x, y).get() == x * y);
    BOOST_TEST(executor.processes().size() == 1u);
}

void reuse_multiple(const mp::Context& context) {
    mp::ProcessPoolExecutor executor{context, 5};
    static_cast<void>(executor.submit(mul, 12, 7).get());
    const auto second = executor.submit(mul, 33, 25);
    static_cast<void>(executor.submit(mul, 25, 26).get());
    const auto fourth = executor.submit(mul, 18, 29);
    static_cast<void>(executor.submit(mul, 1, 2).get());
    const auto sixth = executor.submit(mul, 0, 9);
    BOOST_TEST(executor.processes().size() <= 3u);
    executor.shutdown();
    BOOST_TEST(second.get() + fourth.get() + sixth.get() == 33 * 25 + 18 * 29);
}

int state_of_worker = 0;

/// Counts how many there are.
struct Counted {
    static inline std::atomic<int> there = 0;
    static inline std::atomic<int> made = 0;
    Counted() {
        ++there;
        ++made;
    }
    Counted(const Counted&) { ++there; }
    Counted(Counted&&) noexcept { ++there; }
    Counted& operator=(const Counted&) = default;
    ~Counted() { --there; }
};

} // namespace

BOOST_AUTO_TEST_SUITE(executor)

MULTIFORK_EACH_START_METHOD(E_001_submit) {
    mp::ProcessPoolExecutor executor{context, 2};
    BOOST_TEST(executor.submit(power, 2, 8).get() == 256);
}
BOOST_AUTO_TEST_CASE(E_001_submit_to_threads) {
    mp::ThreadPoolExecutor executor{2};
    BOOST_TEST(executor.submit(power, 2, 8).get() == 256);
}

MULTIFORK_EACH_START_METHOD(E_003_map) {
    mp::ProcessPoolExecutor executor{context, 2};
    check_map(executor);
}
BOOST_AUTO_TEST_CASE(E_003_map_on_threads) {
    mp::ThreadPoolExecutor executor{2};
    check_map(executor);
}

MULTIFORK_EACH_START_METHOD(E_004_map_with_an_exception) {
    mp::ProcessPoolExecutor executor{context, 2};
    check_map_exception(executor);
}
BOOST_AUTO_TEST_CASE(E_004_map_with_an_exception_on_threads) {
    mp::ThreadPoolExecutor executor{2};
    check_map_exception(executor);
}

MULTIFORK_EACH_START_METHOD(E_008_bad_numbers_of_workers) {
    for (const int workers : {0, -1}) {
        support::expect_error<mp::InvalidArgument>(
            [&] { mp::ProcessPoolExecutor executor(context, workers); },
            {"max_workers", "greater than 0"});
        support::expect_error<mp::InvalidArgument>(
            [&] { mp::ThreadPoolExecutor executor{workers}; }, {"max_workers", "greater than 0"});
    }
}

BOOST_AUTO_TEST_CASE(E_009_map_keeps_no_result) {
    Counted::made = 0;
    mp::ThreadPoolExecutor executor{2};
    auto results = executor.map([](int) { return Counted(); }, numbers(0, 10));
    // What moving left behind in the tasks goes with them.
    support::wait_until([] { return Counted::made == 10 && Counted::there == 10; });
    for (int left = 10; left > 0; --left) {
        auto result = results.next();
        BOOST_TEST(Counted::there.load() == left);
        result.reset();
        BOOST_TEST(Counted::there.load() == left - 1);
    }
    BOOST_TEST(!results.next().has_value());
}

MULTIFORK_EACH_START_METHOD(E_012_chunks_of_map) {
    mp::ProcessPoolExecutor executor{context, 2};
    const std::vector<int> a = numbers(0, 40);
    const std::vector<int> b = numbers(7, 40);
    const std::vector<int> expected = all_of(executor.map(mul, a, b));
    BOOST_TEST(expected.size() == 40u);
    for (const int chunk : {6, 40, 50})
        BOOST_TEST((all_of(executor.map(mul, a, b, {.chunk_size = chunk})) == expected));
    support::expect_error<mp::InvalidArgument>([&] { executor.map(mul, a, b, {.chunk_size = -1}); },
                                               {"-1", "at least 1"});
}

MULTIFORK_EACH_START_METHOD(E_013_where_it_was_thrown) {
    mp::ProcessPoolExecutor executor{context, 1};
    const auto future =
        executor.submit([](int n) -> int { throw std::runtime_error(std::to_string(n)); }, 123);
    try {
        static_cast<void>(future.get());
        BOOST_ERROR("did not throw");
    } catch (const std::runtime_error& error) {
        BOOST_TEST(error.what() == std::string("123"));
        const auto cause = mp::remote_cause(error);
        BOOST_REQUIRE(cause.has_value());
        BOOST_TEST(cause->pid() != ::getpid());
        BOOST_TEST(std::string(cause->what()).find("PoolWorker-") != std::string::npos);
    }
}

MULTIFORK_EACH_START_METHOD(E_015_saturation) {
    mp::Semaphore gate{0};
    mp::ProcessPoolExecutor executor{context, 5};
    std::vector<mp::Future<int>> futures;
    for (int i = 0; i < 75; ++i)
        futures.push_back(executor.submit(pass, gate, i));
    support::wait_until([&] { return executor.processes().size() == 5u; });
    for (int i = 0; i < 75; ++i)
        gate.release();
    for (int i = 0; i < 75; ++i)
        BOOST_TEST(futures[static_cast<std::size_t>(i)].get() == i);
    BOOST_TEST(executor.processes().size() == 5u);
}

BOOST_AUTO_TEST_CASE(E_016_an_idle_worker_is_used_again_spawn) {
    reuse_one(mp::get_context("spawn"));
}
BOOST_AUTO_TEST_CASE(E_016_an_idle_worker_is_used_again_forkserver) {
    const support::ServerStops at_the_end;
    reuse_one(mp::get_context("forkserver"));
}

BOOST_AUTO_TEST_CASE(E_017_idle_workers_are_used_again_spawn) {
    reuse_multiple(mp::get_context("spawn"));
}
BOOST_AUTO_TEST_CASE(E_017_idle_workers_are_used_again_forkserver) {
    const support::ServerStops at_the_end;
    reuse_multiple(mp::get_context("forkserver"));
}

BOOST_AUTO_TEST_CASE(E_019_workers_that_end_are_spawned_spawn) {
    mp::ProcessPoolExecutor executor{3, {.max_tasks_per_child = 2}};
    BOOST_TEST((executor.start_method() == mp::StartMethod::spawn));
    std::set<int> pids;
    for (int i = 0; i < 6; ++i)
        pids.insert(executor.submit(own_pid).get());
    BOOST_TEST(pids.size() >= 3u);
}

MULTIFORK_EACH_START_METHOD(E_038_initializer) {
    mp::ProcessPoolExecutor executor{
        2, {.start_method = context.start_method()}, [](int n) { state_of_worker = n; }, 42};
    for (const int seen : executor.map(
             [](int) {
                 std::this_thread::sleep_for(1ms);
                 return state_of_worker;
             },
             numbers(0, 20)))
        BOOST_TEST(seen == 42);
    BOOST_TEST(state_of_worker == 0);
}

BOOST_AUTO_TEST_CASE(E_076_submit_after_shutdown) {
    mp::ProcessPoolExecutor used{2}, unused{2};
    BOOST_TEST(used.submit(power, 2, 2).get() == 4);
    check_shut(used);
    check_shut(unused);
    mp::ThreadPoolExecutor threads{2};
    BOOST_TEST(threads.submit(power, 2, 2).get() == 4);
    check_shut(threads);
}

BOOST_AUTO_TEST_CASE(E_079_shutdown_waits_for_all) {
    mp::ProcessPoolExecutor processes{5};
    check_all_are_done(processes);
    mp::ThreadPoolExecutor threads{5};
    check_all_are_done(threads);
}

MULTIFORK_EACH_START_METHOD(E_090_workers_on_demand_and_their_end) {
    mp::Semaphore gate{0};
    mp::ProcessPoolExecutor executor{context, 5};
    BOOST_TEST(executor.processes().empty());
    std::vector<mp::Future<int>> futures;
    for (int i = 0; i < 3; ++i)
        futures.push_back(executor.submit(pass, gate, i));
    const std::size_t expected = context.get_start_method() == "fork" ? 5 : 3;
    support::wait_until([&] { return executor.processes().size() == expected; });
    std::vector<mp::ProcessHandle> workers = executor.processes();
    for (int i = 0; i < 3; ++i)
        gate.release();
    executor.shutdown();
    for (int i = 0; i < 3; ++i)
        BOOST_TEST(futures[static_cast<std::size_t>(i)].get() == i);
    BOOST_TEST(workers.size() == expected);
    for (mp::ProcessHandle& worker : workers)
        BOOST_TEST(!worker.is_alive());
    BOOST_TEST(executor.processes().empty());
}

MULTIFORK_EACH_START_METHOD(E_091_the_end_of_the_scope) {
    std::vector<mp::ProcessHandle> workers;
    {
        mp::ProcessPoolExecutor executor{context, 5};
        const auto absolute = [](int n) { return std::abs(n); };
        BOOST_TEST((all_of(executor.map(absolute, numbers(-5, 10))) ==
                    std::vector<int>{5, 4, 3, 2, 1, 0, 1, 2, 3, 4}));
        workers = executor.processes();
    }
    BOOST_TEST(!workers.empty());
    for (mp::ProcessHandle& worker : workers)
        worker.join();
}

BOOST_AUTO_TEST_SUITE_END()
