#include <multifork/channel/value.hpp>
#include <multifork/pool/parallel.hpp>
#include <multifork/process/cpu_count.hpp>

#include "pool/parallel_jobs.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

// What a Parallel is told, and what it tells: limits, failures, progress.

namespace mp = multifork;
using mp::ParallelBackend;
using namespace std::chrono_literals;
using namespace multifork::test::parallel_jobs;

BOOST_AUTO_TEST_SUITE(parallel_options)

BOOST_AUTO_TEST_CASE(n_jobs_counts_processors_from_below) {
    BOOST_TEST(mp::detail::workers_for(-1) == static_cast<std::size_t>(mp::cpu_count()));
    BOOST_TEST(mp::detail::workers_for(-2) ==
               static_cast<std::size_t>(std::max(mp::cpu_count() - 1, 1)));
    BOOST_TEST(mp::detail::workers_for(-100'000) == 1u);
    BOOST_TEST(mp::detail::workers_for(INT64_MIN) == 1u);
    BOOST_TEST(mp::detail::workers_for(7) == 7u);
    BOOST_TEST(mp::ParallelContext({.n_jobs = -1}).workers() ==
               static_cast<std::size_t>(mp::cpu_count()));
}

BOOST_AUTO_TEST_CASE(refuses_options_that_mean_nothing) {
    const auto run = [](const mp::Parallel& parallel) { parallel(squares(0, 3)); };
    BOOST_CHECK_THROW(run({.n_jobs = 0}), mp::InvalidArgument);
    BOOST_CHECK_THROW(run({.n_jobs = 2, .batch_size = 0}), mp::InvalidArgument);
    BOOST_CHECK_THROW(run({.n_jobs = 2, .pre_dispatch = 0}), mp::InvalidArgument);
    BOOST_CHECK_THROW(run({.n_jobs = 2, .timeout = 0ms}), mp::InvalidArgument);
    BOOST_CHECK_THROW(run({.n_jobs = 2, .timeout = -1ms}), mp::InvalidArgument);
}

BOOST_AUTO_TEST_CASE(what_a_job_throws_comes_back) {
    for (const auto backend : backends) {
        const mp::Parallel parallel{.n_jobs = 2, .backend = backend};
        const auto jobs = std::views::iota(0, 200) | std::views::transform([](int x) {
                              return mp::delayed(fails_at)(x, 150);
                          });
        BOOST_CHECK_EXCEPTION(parallel(jobs), std::out_of_range, [](const std::out_of_range& e) {
            return std::string(e.what()).find("bad 150") != std::string::npos;
        });
    }
}

BOOST_AUTO_TEST_CASE(a_worker_that_dies_fails_the_call_or_is_replaced) {
    mp::Value<int> tries{0};
    const auto dies_first = [](mp::Value<int>& count_, int x) {
        if (x == 7 && count_.fetch_add(1) == 0)
            ::kill(::getpid(), SIGKILL);
        return x;
    };
    const auto jobs = std::views::iota(0, 20) | std::views::transform([&](int x) {
                          return mp::delayed(dies_first)(tries, x);
                      });
    BOOST_CHECK_THROW(mp::Parallel{.n_jobs = 2}(jobs), mp::WorkerDied);
    tries.store(0);
    const mp::Parallel again{.n_jobs = 2,
                             .pool = {.when_worker_dies = mp::on_worker_death::retry_task}};
    BOOST_TEST(again(jobs).size() == 20u);
}

BOOST_AUTO_TEST_CASE(a_job_that_takes_too_long_is_killed_with_its_worker) {
    const mp::Parallel parallel{.n_jobs = 2, .timeout = 200ms};
    const auto sleeper = [](int x) {
        if (x == 3)
            std::this_thread::sleep_for(1h);
        return x;
    };
    BOOST_CHECK_THROW(parallel(std::views::iota(0, 8) | std::views::transform([=](int x) {
                                   return mp::delayed(sleeper)(x);
                               })),
                      mp::TaskTimedOut);
}

BOOST_AUTO_TEST_CASE(threads_that_take_too_long_are_reported) {
    std::latch go(1);
    const mp::Parallel parallel{.n_jobs = 2, .backend = ParallelBackend::threads, .timeout = 100ms};
    const auto blocks = [&go] { go.wait(); };
    // The threads are joined before it comes out: somebody must let them go.
    std::jthread release([&] {
        std::this_thread::sleep_for(3s);
        go.count_down();
    });
    BOOST_CHECK_THROW(parallel(blocks, blocks), mp::TimedOut);
}

BOOST_AUTO_TEST_CASE(progress_is_told) {
    for (const auto backend : backends) {
        std::vector<std::size_t> told;
        mp::Parallel{
            .n_jobs = 2, .backend = backend, .progress = [&](std::size_t done, std::size_t all) {
                told.push_back(done);
                BOOST_TEST(all == 100u);
            }}(squares(0, 100));
        BOOST_TEST(std::is_sorted(told.begin(), told.end()));
        BOOST_TEST(told.back() == 100u);
    }
}

BOOST_AUTO_TEST_CASE(verbose_writes_lines_where_there_is_no_terminal) {
    std::array<int, 2> ends{};
    BOOST_REQUIRE(::pipe(ends.data()) == 0);
    const int before = ::dup(STDERR_FILENO);
    ::dup2(ends[1], STDERR_FILENO);
    mp::Parallel{.n_jobs = 2, .verbose = 1}(squares(0, 10));
    mp::Parallel{.n_jobs = 2, .batch_size = 5, .verbose = 11}(squares(0, 10));
    ::dup2(before, STDERR_FILENO);
    ::close(before);
    ::close(ends[1]);
    std::array<char, 4096> text{};
    const auto got = ::read(ends[0], text.data(), text.size());
    ::close(ends[0]);
    const std::string said(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    BOOST_TEST(said.find("Parallel(n_jobs=2): 10/10 in 0:0") != std::string::npos, said);
    BOOST_TEST(said.find("[Parallel(n_jobs=2)]: done 5 of 10 | elapsed ") != std::string::npos);
    BOOST_TEST(said.find("[Parallel(n_jobs=2)]: done 10 of 10 | elapsed ") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
