#include <multifork/channel/value.hpp>
#include <multifork/pool/parallel.hpp>
#include <multifork/pool/pool.hpp>

#include "pool/parallel_jobs.hpp"
#include "support/start_methods.hpp"

#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <functional>
#include <ranges>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
using mp::ParallelBackend;
using namespace multifork::test::parallel_jobs;

namespace {

std::string repeated(const std::string& word, int times) {
    std::string text;
    for (int i = 0; i < times; ++i)
        text += word;
    return text;
}
std::size_t length_of(const char* text) {
    return std::string_view(text).size();
}
void count(mp::Value<int> counter) {
    counter.fetch_add(1);
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

BOOST_AUTO_TEST_CASE(jobs_bring_text_by_a_pointer) {
    const auto length = [](std::string_view text) { return text.size(); };
    for (const auto backend : backends) {
        const std::vector<std::size_t> results = mp::Parallel{.n_jobs = 2, .backend = backend}(
            mp::delayed(length)("four"), mp::delayed(length_of)("three"));
        BOOST_TEST((results == std::vector<std::size_t>{4, 5}));
    }
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

BOOST_AUTO_TEST_SUITE_END()
