#include <multifork/channel/queue.hpp>
#include <multifork/pool/parallel.hpp>
#include <multifork/process/process.hpp>

#include "pool/parallel_jobs.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <ranges>
#include <set>
#include <stdexcept>
#include <vector>

// The results of a Parallel one after another, and one Parallel after another.

namespace mp = multifork;
using namespace multifork::test::parallel_jobs;

BOOST_AUTO_TEST_SUITE(parallel_generator)

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

BOOST_AUTO_TEST_SUITE_END()
