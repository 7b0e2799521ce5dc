#include <multifork/channel/queue.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/pool/parallel.hpp>
#include <multifork/process/cpu_count.hpp>

#include "support/start_methods.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <functional>
#include <iterator>
#include <latch>
#include <numeric>
#include <ranges>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
using mp::ParallelBackend;
using namespace std::chrono_literals;

namespace {

int square(int x) {
    return x * x;
}
std::string repeated(const std::string& word, int times) {
    std::string text;
    for (int i = 0; i < times; ++i)
        text += word;
    return text;
}
int fails_at(int x, int bad) {
    if (x == bad)
        throw std::out_of_range("bad " + std::to_string(x));
    return x;
}
void count(mp::Value<int> counter) {
    counter.fetch_add(1);
}
int own_pid() {
    return ::getpid();
}
bool is_even(int x) {
    return x % 2 == 0;
}
/// How many processes and threads the jobs of a Parallel within a job run in.
std::size_t places_within() {
    auto place = [] {
        std::ostringstream text;
        text << ::getpid() << ' ' << std::this_thread::get_id();
        return text.str();
    };
    const std::vector<decltype(place)> jobs(8, place);
    const auto places = mp::Parallel{.n_jobs = 4, .batch_size = 1}(jobs);
    return std::set<std::string>(places.begin(), places.end()).size();
}

/// delayed(square)(from), ... as a lazy range.
auto squares(int from, int to) {
    return std::views::iota(from, to) |
           std::views::transform([](int x) { return mp::delayed(square)(x); });
}
std::vector<int> expected_squares(int from, int to) {
    std::vector<int> all;
    for (int x = from; x < to; ++x)
        all.push_back(x * x);
    return all;
}

const std::vector<ParallelBackend> backends{ParallelBackend::processes, ParallelBackend::threads,
                                            ParallelBackend::sequential};

} // namespace

BOOST_AUTO_TEST_SUITE(parallel)

BOOST_AUTO_TEST_CASE(gives_the_results_in_the_order_of_the_jobs) {
    for (const auto backend : backends)
        for (const int n_jobs : {1, 2, 5}) {
            const std::vector<int> results =
                mp::Parallel{.n_jobs = n_jobs, .backend = backend}(squares(0, 1000));
            BOOST_TEST(results == expected_squares(0, 1000), boost::test_tools::per_element());
        }
}

MULTIFORK_EACH_START_METHOD(jobs_cross) {
    std::vector<decltype(mp::delayed(repeated)(std::string(), 0))> jobs;
    for (int i = 0; i < 20; ++i)
        jobs.push_back(mp::delayed(repeated)("ab", i));
    const std::vector<std::string> results =
        mp::Parallel{.n_jobs = 2, .pool = {.start_method = context.start_method()}}(jobs);
    BOOST_REQUIRE(results.size() == 20u);
    for (int i = 0; i < 20; ++i)
        BOOST_TEST(results[static_cast<std::size_t>(i)] == repeated("ab", i));
}

MULTIFORK_EACH_START_METHOD(jobs_bring_handles_and_return_nothing) {
    mp::Value<int> counter{0};
    const mp::Parallel parallel{.n_jobs = 2, .pool = {.start_method = context.start_method()}};
    parallel(std::views::iota(0, 100) |
             std::views::transform([&](int) { return mp::delayed(count)(counter); }));
    BOOST_TEST(counter.load() == 100);
}

BOOST_AUTO_TEST_CASE(takes_no_jobs_at_all) {
    for (const auto backend : backends)
        BOOST_TEST((mp::Parallel{.n_jobs = 2, .backend = backend}(squares(0, 0))).empty());
}

BOOST_AUTO_TEST_CASE(takes_jobs_one_by_one_of_several_types) {
    int three = 3;
    for (const auto backend : backends) {
        const mp::Parallel parallel{.n_jobs = 2, .backend = backend};
        BOOST_TEST(
            (parallel(mp::delayed(square)(4), mp::delayed(square)(5)) == std::vector<int>{16, 25}));
        BOOST_TEST((parallel(
                        mp::delayed(square)(4), [three] { return three; },
                        mp::delayed(fails_at)(1, 2)) == std::vector<int>{16, 3, 1}));
    }
}

BOOST_AUTO_TEST_CASE(gives_booleans) {
    const auto results =
        mp::Parallel{.n_jobs = 2}(std::views::iota(0, 9) | std::views::transform([](int x) {
                                      return mp::delayed(is_even)(x);
                                  }));
    BOOST_REQUIRE(results.size() == 9u);
    for (std::size_t i = 0; i < 9; ++i)
        BOOST_TEST(results[i] == (i % 2 == 0));
}

BOOST_AUTO_TEST_CASE(processes_are_others_and_threads_are_not) {
    std::vector<decltype(mp::delayed(own_pid)())> jobs(20, mp::delayed(own_pid)());
    const mp::Parallel processes{.n_jobs = 2, .batch_size = 1};
    for (const int pid : processes(jobs))
        BOOST_TEST(pid != ::getpid());
    for (const auto backend : {ParallelBackend::threads, ParallelBackend::sequential})
        for (const int pid : mp::Parallel{.n_jobs = 2, .backend = backend}(jobs))
            BOOST_TEST(pid == ::getpid());
    for (const int pid : mp::Parallel{}(jobs)) // n_jobs = 1 is the caller
        BOOST_TEST(pid == ::getpid());
}

BOOST_AUTO_TEST_CASE(threads_take_references) {
    std::vector<int> seen(50);
    mp::Parallel{.n_jobs = 3, .backend = ParallelBackend::threads}(
        std::views::iota(0, 50) | std::views::transform([&](int i) {
            return [&seen, i] { seen[static_cast<std::size_t>(i)] = i; };
        }));
    for (int i = 0; i < 50; ++i)
        BOOST_TEST(seen[static_cast<std::size_t>(i)] == i);
}

BOOST_AUTO_TEST_CASE(what_cannot_cross_is_refused_by_processes_alone) {
    const auto jobs = [](std::string text) { // a closure with a string in it: nobody knows how
        return std::vector(5, [text] { return text.size(); });
    };
    BOOST_CHECK_THROW(mp::Parallel{.n_jobs = 2}(jobs("abc")), mp::NotShareable);
    BOOST_TEST((mp::Parallel{.n_jobs = 2, .backend = ParallelBackend::threads}(jobs("abc")) ==
                std::vector<std::size_t>(5, 3)));
    int here = 0;
    const auto refers = mp::delayed([](int* p) { return *p; })(&here);
    BOOST_CHECK_THROW(mp::Parallel{.n_jobs = 2}(refers, refers), mp::NotShareable);
    int sum = 0;
    const auto add = +[](int& to, int x) { to += x; };
    mp::Parallel{.backend = ParallelBackend::sequential}(mp::delayed(add)(std::ref(sum), 3),
                                                         mp::delayed(add)(std::ref(sum), 4));
    BOOST_TEST(sum == 7);
}

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

BOOST_AUTO_TEST_CASE(what_the_input_throws_comes_when_the_jobs_before_are_done) {
    for (const auto backend : backends) {
        auto jobs = std::views::iota(0, 20) | std::views::transform([](int x) {
                        if (x == 10)
                            throw std::length_error("no more");
                        return mp::delayed(square)(x);
                    });
        const mp::Parallel parallel{.n_jobs = 2, .backend = backend};
        int got = 0;
        try {
            for ([[maybe_unused]] const int result : parallel.generator(jobs))
                ++got;
            BOOST_ERROR("nothing was thrown");
        } catch (const std::length_error&) {
            BOOST_TEST(got == 10);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_generator_gives_them_in_order_and_reads_no_further_than_it_may) {
    for (const auto backend : backends) {
        int taken = 0;
        auto endless = std::views::iota(0) | std::views::transform([&](int x) {
                           ++taken;
                           return mp::delayed(square)(x);
                       });
        const mp::Parallel parallel{.n_jobs = 2, .backend = backend, .pre_dispatch = 6};
        auto results = parallel.generator(endless);
        for (int i = 0; i < 100; ++i) {
            BOOST_REQUIRE(results.next().value() == i * i);
            BOOST_REQUIRE(taken <= i + 7);
        }
    }
}

BOOST_AUTO_TEST_CASE(an_unordered_generator_gives_first_what_is_first) {
    mp::Queue<int> go{1};
    const auto job = [](mp::Queue<int>& wait_for, int x) { return x == 0 ? wait_for.get() : x; };
    const mp::Parallel parallel{.n_jobs = 2, .batch_size = 1};
    auto results =
        parallel.generator_unordered(std::views::iota(0, 10) | std::views::transform([&](int x) {
                                         return mp::delayed(job)(go, x);
                                     }));
    std::vector<int> got;
    // Two workers, and two batches for each on their way: one of four is not handed out.
    for (int i = 0; i < 3; ++i)
        got.push_back(results.next().value());
    go.put(77);
    while (const auto one = results.next())
        got.push_back(*one);
    BOOST_TEST(std::count(got.begin(), got.begin() + 3, 77) == 0);
    BOOST_TEST(got.size() == 10u);
    std::sort(got.begin(), got.end());
    BOOST_TEST((got == std::vector<int>{1, 2, 3, 4, 5, 6, 7, 8, 9, 77}));
}

BOOST_AUTO_TEST_CASE(a_generator_that_is_left_ends_its_workers) {
    const mp::Parallel parallel{.n_jobs = 2};
    {
        auto results = parallel.generator(squares(0, 1'000'000));
        BOOST_TEST(results.next().value() == 0);
    }
    BOOST_TEST(mp::active_children().empty());
}

BOOST_AUTO_TEST_CASE(a_context_keeps_its_workers) {
    for (const auto backend : backends) {
        mp::ParallelContext parallel{{.n_jobs = 2, .backend = backend, .batch_size = 1}};
        std::set<int> pids;
        std::vector<decltype(mp::delayed(own_pid)())> jobs(10, mp::delayed(own_pid)());
        for (int round = 0; round < 5; ++round)
            for (const int pid : parallel(jobs))
                pids.insert(pid);
        BOOST_TEST(pids.size() <= 2u);
        BOOST_CHECK_THROW(parallel(std::views::iota(0, 50) | std::views::transform([](int x) {
                                       return mp::delayed(fails_at)(x, 5);
                                   })),
                          std::out_of_range);
        BOOST_TEST(parallel(squares(0, 30)) == expected_squares(0, 30),
                   boost::test_tools::per_element());
        std::vector<int> lazily;
        for (const int x : parallel.generator(squares(0, 30)))
            lazily.push_back(x);
        BOOST_TEST(lazily == expected_squares(0, 30), boost::test_tools::per_element());
    }
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
        std::this_thread::sleep_for(1s);
        go.count_down();
    });
    BOOST_CHECK_THROW(parallel(blocks, blocks), mp::TimedOut);
}

BOOST_AUTO_TEST_CASE(within_a_job_it_is_sequential) {
    for (const auto backend : {ParallelBackend::processes, ParallelBackend::threads}) {
        std::vector<decltype(mp::delayed(places_within)())> jobs(4, mp::delayed(places_within)());
        for (const std::size_t places : mp::Parallel{.n_jobs = 2, .backend = backend}(jobs))
            BOOST_TEST(places == 1u);
    }
    mp::Pool pool{1};
    BOOST_TEST(pool.apply(places_within) == 1u);
    // One job at a time uses one processor: the others are free.
    const auto alone = mp::Parallel{.n_jobs = 1}(mp::delayed(own_pid)(), [] {
        return mp::Parallel{.n_jobs = 2}(mp::delayed(own_pid)(), mp::delayed(own_pid)())[0];
    });
    BOOST_TEST(alone[1] != ::getpid());
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
    BOOST_TEST(said.find("Parallel(n_jobs=2): 10/10 in 0:0") == 0u, said);
    BOOST_TEST(said.find("[Parallel(n_jobs=2)]: done 5 of 10 | elapsed ") != std::string::npos);
    BOOST_TEST(said.find("[Parallel(n_jobs=2)]: done 10 of 10 | elapsed ") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(batch_size)

using mp::detail::BatchSize;

BOOST_AUTO_TEST_CASE(grows_while_batches_are_short) {
    BatchSize size(std::nullopt);
    std::size_t before = size.now();
    BOOST_TEST(before == 1u);
    for (int i = 0; i < 30; ++i) {
        size.ran(size.now(), static_cast<std::int64_t>(size.now()) * 1000); // 1 us a job
        BOOST_TEST(size.now() <= 2 * before);
        before = size.now();
    }
    BOOST_TEST(size.now() >= 2000u);
    BOOST_TEST(size.now() <= 4000u);
}

BOOST_AUTO_TEST_CASE(shrinks_when_they_take_too_long) {
    BatchSize size(std::nullopt);
    for (int i = 0; i < 30; ++i)
        size.ran(size.now(), static_cast<std::int64_t>(size.now()) * 1000);
    for (int i = 0; i < 5; ++i)
        size.ran(size.now(), static_cast<std::int64_t>(size.now()) * 1'000'000); // 1 ms a job
    BOOST_TEST(size.now() >= 2u);
    BOOST_TEST(size.now() <= 20u);
}

BOOST_AUTO_TEST_CASE(stays_between_and_when_it_is_told) {
    BatchSize size(std::nullopt);
    size.ran(1, 5'000'000);
    size.ran(1, 19'000'000);
    size.ran(1, 900'000'000'000); // one alone cannot be less
    BOOST_TEST(size.now() == 1u);
    size.ran(64, 10); // of another time
    BOOST_TEST(size.now() == 1u);
    BatchSize fixed(5);
    fixed.ran(5, 1);
    BOOST_TEST(fixed.now() == 5u);
}

BOOST_AUTO_TEST_SUITE_END()
