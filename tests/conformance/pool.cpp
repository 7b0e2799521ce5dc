#include <multifork/pool/pool.hpp>

#include <multifork/channel/value.hpp>
#include <multifork/process/this_process.hpp>

#include "start_methods.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <ranges>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

// Rows W of the table. A wait with a time limit is wait_for() here, which says false where Python
// throws TimeoutError.

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

int sqr(int x, int wait_ms = 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(wait_ms));
    return x * x;
}
int one_sqr(int x) {
    return x * x;
}
int mul(int x, int y) {
    return x * y;
}

std::vector<int> numbers(int count) {
    std::vector<int> all(static_cast<std::size_t>(count));
    std::iota(all.begin(), all.end(), 0);
    return all;
}
std::vector<int> squares(int count) {
    std::vector<int> all = numbers(count);
    std::transform(all.begin(), all.end(), all.begin(), one_sqr);
    return all;
}
std::vector<std::pair<int, int>> pairs(int count) {
    std::vector<std::pair<int, int>> all;
    for (int i = 0; i < count; ++i)
        all.emplace_back(i, count - 1 - i);
    return all;
}
std::vector<int> products(int count) {
    std::vector<int> all;
    for (const auto& [x, y] : pairs(count))
        all.push_back(x * y);
    return all;
}
template <class Results>
std::vector<int> all_of(Results&& results) {
    std::vector<int> all;
    for (const int result : results)
        all.push_back(result);
    return all;
}

/// Throws when it is copied into bytes.
struct Unwritable {
    int n = 0;
    template <class Archive>
    void save(Archive&) const {
        throw std::range_error("this cannot be written down");
    }
    template <class Archive>
    void load(Archive&) {}
    std::string not_plain = {};
};

struct Thrower {
    int limit;
    auto operator()() const {
        return std::views::iota(0) | std::views::transform([at = limit](int i) {
                   if (i == at)
                       throw std::domain_error("the input throws");
                   return i;
               });
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(pool)

MULTIFORK_EACH_START_METHOD(W_001_apply) {
    mp::Pool pool{context, 4};
    BOOST_TEST(pool.apply(one_sqr, 5) == 25);
    BOOST_TEST(pool.apply(sqr, 3, 0) == 9);
}

MULTIFORK_EACH_START_METHOD(W_002_map) {
    mp::Pool pool{context, 4};
    BOOST_TEST((pool.map(one_sqr, numbers(10)) == squares(10)));
    BOOST_TEST((pool.map(one_sqr, numbers(100), {.chunk_size = 20}) == squares(100)));
}

MULTIFORK_EACH_START_METHOD(W_003_starmap) {
    mp::Pool pool{context, 4};
    BOOST_TEST((pool.starmap(mul, pairs(10)) == products(10)));
    BOOST_TEST((pool.starmap(mul, pairs(100), {.chunk_size = 20}) == products(100)));
}

BOOST_AUTO_TEST_CASE(W_004_starmap_async) {
    mp::Pool pool{4};
    BOOST_TEST((pool.starmap_async(mul, pairs(100)).get() == products(100)));
}

BOOST_AUTO_TEST_CASE(W_005_map_async) {
    mp::Pool pool{4};
    BOOST_TEST((pool.map_async(one_sqr, numbers(10)).get() == squares(10)));
}

// What a serialiser throws is thrown by the call that sends, not by the future.
BOOST_AUTO_TEST_CASE(W_007_input_that_cannot_be_written) {
    mp::Pool pool{2};
    const std::vector<Unwritable> inputs(10);
    support::expect_error<std::range_error>(
        [&] { pool.map([](const Unwritable& u) { return u.n; }, inputs); }, {"written down"});
    BOOST_TEST((pool.map(one_sqr, numbers(10)) == squares(10)));
}

BOOST_AUTO_TEST_CASE(W_008_map_async_of_nothing_is_ready) {
    mp::Pool pool{2};
    BOOST_TEST(pool.map_async(one_sqr, std::vector<int>{}, {.chunk_size = 1}).ready());
}

MULTIFORK_EACH_START_METHOD(W_010_async) {
    mp::Pool pool{context, 4};
    const auto start = std::chrono::steady_clock::now();
    const auto future = pool.submit(sqr, 7, 100);
    BOOST_TEST(future.get() == 49);
    BOOST_TEST((std::chrono::steady_clock::now() - start >= 100ms));
}

MULTIFORK_EACH_START_METHOD(W_011_async_time_limit) {
    mp::Pool pool{context, 1};
    const auto future = pool.submit(sqr, 6, 30'000);
    BOOST_TEST(!future.wait_for(100ms));
    pool.terminate();
    pool.join(); // else the case's time limit
    support::expect_error<mp::Cancelled>([&] { static_cast<void>(future.get()); }, {"terminated"});
}

MULTIFORK_EACH_START_METHOD(W_012_imap) {
    mp::Pool pool{context, 4};
    auto results = pool.imap(one_sqr, numbers(10));
    for (int i = 0; i < 10; ++i)
        BOOST_TEST(results.next().value() == i * i);
    BOOST_TEST(!results.next().has_value());
    auto in_chunks = pool.imap(one_sqr, numbers(1000), {.chunk_size = 100});
    for (int i = 0; i < 1000; ++i)
        BOOST_REQUIRE(in_chunks.next().value() == i * i);
    BOOST_TEST(!in_chunks.next().has_value());
}

MULTIFORK_EACH_START_METHOD(W_014_imap_unordered) {
    mp::Pool pool{context, 4};
    std::vector<int> got = all_of(pool.imap_unordered(one_sqr, numbers(10)));
    std::sort(got.begin(), got.end());
    BOOST_TEST((got == squares(10)));
    got = all_of(pool.imap_unordered(one_sqr, numbers(1000), {.chunk_size = 100}));
    std::sort(got.begin(), got.end());
    BOOST_TEST((got == squares(1000)));
}

BOOST_AUTO_TEST_CASE(W_015_imap_over_an_input_that_throws) {
    mp::Pool pool{2};
    const auto check = [&](int at, int chunk_size) {
        for (const bool ordered : {false, true}) {
            std::vector<int> got;
            const auto go = [&](auto&& results) {
                for (const int result : results)
                    got.push_back(result);
            };
            const mp::MapOptions options{.chunk_size = chunk_size};
            support::expect_error<std::domain_error>(
                [&] {
                    if (ordered)
                        go(pool.imap(one_sqr, Thrower{at}(), options));
                    else
                        go(pool.imap_unordered(one_sqr, Thrower{at}(), options));
                },
                {"the input throws"});
            std::sort(got.begin(), got.end());
            BOOST_TEST((got == squares(at)));
        }
    };
    check(0, 1);
    check(3, 1);
    check(7, 2);
}

BOOST_AUTO_TEST_CASE(W_016_number_of_workers) {
    for (const int workers : {0, -1})
        support::expect_error<mp::InvalidArgument>([&] { mp::Pool pool{workers}; },
                                                   {std::to_string(workers), "at least 1"});
    mp::Pool pool{3};
    BOOST_TEST(pool.processes().size() == 3u);
    BOOST_TEST(pool.workers() == 3u);
}

MULTIFORK_EACH_START_METHOD(W_017_terminate) {
    mp::Pool pool{context, 3};
    const auto tasks = pool.map_async(
        [](int seconds) { std::this_thread::sleep_for(std::chrono::seconds(seconds)); },
        std::vector<int>(10'000, 300), {.chunk_size = 1});
    BOOST_TEST(!tasks.wait_for(200ms));
    pool.terminate();
    pool.join(); // else the case's time limit
    BOOST_TEST(tasks.ready());
}

BOOST_AUTO_TEST_CASE(W_018_empty_inputs) {
    mp::Pool pool{1};
    const std::vector<int> none;
    BOOST_TEST(pool.map(one_sqr, none).empty());
    BOOST_TEST(all_of(pool.imap(one_sqr, none)).empty());
    BOOST_TEST(all_of(pool.imap_unordered(one_sqr, none)).empty());
    BOOST_TEST(pool.map_async(one_sqr, none).get().empty());
    pool.close();
    pool.join();
}

// There is no `with` here: the scope of the object is it, and behind it there is no pool to ask.
BOOST_AUTO_TEST_CASE(W_019_the_end_of_the_scope_terminates) {
    mp::Future<std::vector<int>> inside;
    mp::Future<int> unfinished;
    {
        mp::Pool pool{2};
        inside = pool.map_async(one_sqr, numbers(10));
        BOOST_TEST((inside.get() == squares(10)));
        unfinished = pool.submit(sqr, 1, 300'000);
    }
    BOOST_TEST((inside.get() == squares(10)));
    BOOST_TEST(unfinished.ready());
    BOOST_TEST(mp::active_children().empty());
}

MULTIFORK_EACH_START_METHOD(W_020_where_it_was_thrown) {
    mp::Pool pool{context, 1};
    const auto throws_123 = [](int n) -> int { throw std::runtime_error(std::to_string(n)); };
    try {
        pool.apply(throws_123, 123);
        BOOST_ERROR("did not throw");
    } catch (const std::runtime_error& error) {
        BOOST_TEST(error.what() == std::string("123"));
        const auto cause = mp::remote_cause(error);
        BOOST_REQUIRE(cause.has_value());
        BOOST_TEST(cause->process_name().find("PoolWorker-") != std::string::npos);
        BOOST_TEST(cause->pid() != ::getpid());
        BOOST_TEST(std::string(cause->what()).find("PoolWorker-") != std::string::npos);
    }
    try {
        all_of(pool.imap(one_sqr, Thrower{0}()));
        BOOST_ERROR("did not throw");
    } catch (const std::domain_error& error) {
        BOOST_TEST(!mp::remote_cause(error).has_value());
    }
}

BOOST_AUTO_TEST_CASE(W_021_an_exception_has_its_type) {
    mp::Pool pool{1};
    const auto fails = []() -> void { throw std::runtime_error("foo"); };
    BOOST_CHECK_THROW(pool.apply(fails), std::runtime_error);
}

// What comes nearest to entering the scope of a pool once more.
BOOST_AUTO_TEST_CASE(W_024_a_terminated_pool_takes_nothing) {
    mp::Pool pool{1};
    pool.terminate();
    support::expect_error<mp::InvalidState>([&] { static_cast<void>(pool.submit(one_sqr, 1)); },
                                            {"terminated"});
    pool.join();
    support::expect_error<mp::InvalidState>([&] { pool.map(one_sqr, numbers(3)); }, {"terminated"});
}

BOOST_AUTO_TEST_CASE(W_026_callbacks_come_before_get) {
    mp::Pool pool{2};
    const auto fails = [] {
        std::this_thread::sleep_for(50ms); // so that the callback is there first
        throw std::logic_error("foo");
    };
    bool called_with_it = false;
    const auto future = pool.submit(fails);
    future.add_done_callback([&](const mp::Future<void>& done) {
        called_with_it = support::throws<std::logic_error>([&] { done.get(); });
    });
    BOOST_CHECK_THROW(future.get(), std::logic_error);
    BOOST_TEST(called_with_it);
}

MULTIFORK_EACH_START_METHOD(W_028_workers_are_replaced) {
    mp::Pool pool{context, 3, {.max_tasks_per_worker = 10}};
    const auto pids = [&] {
        std::set<int> all;
        for (const mp::ProcessHandle& worker : pool.processes())
            all.insert(worker.pid().value());
        return all;
    };
    const std::set<int> before = pids();
    BOOST_TEST(before.size() == 3u);
    std::vector<mp::Future<int>> results;
    for (int i = 0; i < 100; ++i)
        results.push_back(pool.submit(one_sqr, i));
    for (int i = 0; i < 100; ++i)
        BOOST_TEST(results[static_cast<std::size_t>(i)].get() == i * i);
    support::wait_until([&] { return pids().size() == 3u && pids() != before; });
    pool.close();
    pool.join();
}

BOOST_AUTO_TEST_CASE(W_030_bad_numbers_of_tasks_for_a_worker) {
    for (const int most : {0, -1})
        support::expect_error<mp::InvalidArgument>(
            [&] { mp::Pool(3, {.max_tasks_per_worker = most}); }, {"at least 1"});
}

MULTIFORK_EACH_START_METHOD(W_033_initializer) {
    mp::Value<int> counter{0};
    {
        mp::Pool pool{1,
                      {.start_method = context.start_method()},
                      [](mp::Value<int> count) { count.fetch_add(1); },
                      counter};
        BOOST_TEST(pool.apply(one_sqr, 2) == 4);
        BOOST_TEST(pool.apply(one_sqr, 3) == 9);
        pool.close();
        pool.join();
    }
    BOOST_TEST(counter.load() == 1);
}

MULTIFORK_EACH_START_METHOD(W_034_a_pool_in_a_child) {
    mp::Process child = context.process([] {
        mp::Pool pool{4};
        support::demand(pool.map(one_sqr, numbers(7)) == squares(7));
        pool.close();
        pool.join();
    });
    child.start();
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(W_035_a_large_pool,
                     *boost::unit_test::label("full") * boost::unit_test::timeout(120)) {
    mp::Pool pool{200};
    const std::vector<int> all = pool.map(one_sqr, numbers(1000));
    BOOST_TEST(std::accumulate(all.begin(), all.end(), 0LL) == 332833500);
}

BOOST_AUTO_TEST_SUITE_END()
