#include <multifork/channel/dict.hpp>
#include <multifork/channel/queue.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/pool/pool.hpp>
#include <multifork/process/this_process.hpp>
#include <multifork/sync/event.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <future>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

int square(int x) {
    return x * x;
}
int wait_for(mp::Event go, int n) {
    go.wait();
    return n;
}

struct Point {
    double x = 0;
    double y = 0;
    std::string name = {};
};

/// Not a standard exception.
struct Strange : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Throws when it is read.
struct Unreadable {
    int n = 0;
    std::string not_plain = {};
    template <class Archive>
    void save(Archive& archive) const {
        archive(n);
    }
    template <class Archive>
    void load(Archive&) {
        throw std::underflow_error("this cannot be read");
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(pool)

BOOST_AUTO_TEST_CASE(applies_maps_and_ends) {
    mp::Pool pool{2};
    BOOST_TEST(pool.apply(square, 5) == 25);
    const std::vector<int> squares = pool.map(square, std::views::iota(0, 100));
    BOOST_TEST(squares.size() == 100u);
    for (int i = 0; i < 100; ++i)
        BOOST_TEST(squares[static_cast<std::size_t>(i)] == i * i);
    BOOST_TEST(fmt::format("{}", pool).starts_with("<Pool fork workers=2 open"));
    pool.close();
    pool.close();
    pool.join();
    pool.join();
    BOOST_TEST(pool.processes().empty());
    BOOST_TEST(mp::active_children().empty());
}

BOOST_AUTO_TEST_CASE(all_kinds_of_values_cross) {
    mp::Pool pool{2};
    BOOST_TEST(pool.apply([](const std::string& a, double b) { return a + std::to_string(b); },
                          "x"s, 0.5) == "x0.500000");
    int three = 3;
    BOOST_TEST((pool.map([three](int x) { return three * x; }, std::list{1, 2, 3}) ==
                std::vector{3, 6, 9}));
    const std::vector<Point> points{{1, 2, "a"}, {3, 4, std::string(1000, 'b')}};
    const std::vector<Point> turned = pool.map(
        [](Point p) {
            std::swap(p.x, p.y);
            return p;
        },
        points);
    BOOST_TEST(turned.at(1).x == 4);
    BOOST_TEST(turned.at(1).name == points[1].name);
    BOOST_TEST((pool.map([](int x) { return x > 1; }, std::vector{1, 2}) ==
                std::vector<bool>{false, true}));
    BOOST_TEST((pool.map([](bool b) { return b ? 1 : 0; }, std::vector<bool>{false, true}) ==
                std::vector{0, 1}));
    BOOST_TEST((pool.starmap([](const std::string& s, int n) { return s.at(0) + n; },
                             std::map<std::string, int>{{"a", 1}}) == std::vector{'a' + 1}));
    BOOST_TEST(
        (pool.apply([](int x) { return std::optional<int>(x); }, 4) == std::optional<int>(4)));
    // An input that can be gone through once, and has no size.
    auto odd = std::views::iota(0, 10) | std::views::filter([](int x) { return x % 2 == 1; });
    BOOST_TEST((pool.map(square, odd) == std::vector{1, 9, 25, 49, 81}));
    BOOST_TEST(pool.apply([](std::string s) { return s.size(); }, std::string(1 << 20, 'x')) ==
               std::size_t{1} << 20);
    BOOST_TEST(pool.apply([](std::size_t n) { return std::string(n, 'y'); },
                          std::size_t{3} << 20) == std::string(std::size_t{3} << 20, 'y'));
}

BOOST_AUTO_TEST_CASE(handles_cross_as_arguments_bound_and_as_results) {
    mp::Pool pool{2};
    mp::Queue<int> queue{10};
    mp::Value<int> sum{0};
    pool.apply([](mp::Queue<int> q, int n) { q.put(n); }, queue, 7);
    BOOST_TEST(queue.get() == 7);
    pool.map(mp::bind_front([](mp::Value<int>& total, int n) { total.fetch_add(n); }, sum),
             std::views::iota(0, 101));
    BOOST_TEST(sum.load() == 5050);
    mp::Queue<int> made = pool.apply([] {
        mp::Queue<int> q{3};
        q.put(11);
        return q;
    });
    BOOST_TEST(made.get() == 11);
    const auto prefix =
        mp::bind_front([](const std::string& a, const std::string& b) { return a + b; }, "pre"s);
    BOOST_TEST(pool.apply(prefix, "fix"s) == "prefix");
}

BOOST_AUTO_TEST_CASE(a_captured_reference_is_refused) {
    mp::Pool pool{1};
    int here = 0;
    support::expect_error<mp::NotShareable>(
        [&] { pool.map([&here](int x) { return x + here; }, std::vector{1}); },
        {"captured a reference", "workers"});
    support::expect_error<mp::NotShareable>(
        [&] { static_cast<void>(pool.submit([&here] { return here; })); }, {"captured"});
    BOOST_TEST(pool.apply(square, 3) == 9);
}

BOOST_AUTO_TEST_CASE(exceptions_have_their_type_if_it_is_known) {
    mp::Pool pool{1};
    BOOST_CHECK_THROW(pool.apply([] { std::vector<int>().at(1); }), std::out_of_range);
    BOOST_CHECK_THROW(pool.apply([]() -> void { throw std::bad_alloc(); }), std::bad_alloc);
    BOOST_CHECK_THROW(pool.apply([] {
        mp::Queue<int> queue{1};
        queue.close();
        queue.put(1);
    }),
                      mp::QueueClosed);
    BOOST_CHECK_THROW(pool.apply([] { static_cast<void>(mp::Dict<int, int>().at(1)); }),
                      mp::KeyNotFound);
    try {
        pool.apply([]() -> void {
            throw std::system_error(std::make_error_code(std::errc::no_such_file_or_directory));
        });
        BOOST_ERROR("did not throw");
    } catch (const std::system_error& error) {
        BOOST_TEST((error.code() == std::errc::no_such_file_or_directory));
    }
    const auto full = [](const char* doing) -> void {
        throw std::system_error(std::make_error_code(std::errc::no_space_on_device), doing);
    };
    for (const char* doing : {"writing: a file", "", ": "}) {
        const std::system_error here(std::make_error_code(std::errc::no_space_on_device), doing);
        try {
            pool.apply(full, doing);
            BOOST_ERROR("did not throw");
        } catch (const std::system_error& error) {
            BOOST_TEST(error.what() == std::string(here.what()));
            BOOST_TEST((error.code() == here.code()));
        }
    }
    // A code of a category that is not the system's: its number alone would mean something else.
    support::expect_error<mp::RemoteError>(
        [&] {
            pool.apply([]() -> void {
                throw std::system_error(std::make_error_code(std::future_errc::no_state), "mine");
            });
        },
        {"system_error", "mine"});
    support::expect_error<mp::RemoteError>(
        [&] { pool.apply([]() -> void { throw Strange("!"); }); }, {"Strange", "!", "PoolWorker-"});
    support::expect_error<mp::RemoteError>([&] { pool.apply([]() -> void { throw 42; }); },
                                           {"int"});
    BOOST_TEST(pool.apply(square, 3) == 9);
}

BOOST_AUTO_TEST_CASE(of_several_failures_in_a_map_the_first_item_counts) {
    mp::Pool pool{2};
    const auto fails = [](int x) -> int {
        if (x == 3)
            std::this_thread::sleep_for(20ms); // so that 8 is heard of before
        if (x == 3 || x == 8)
            throw std::runtime_error(std::to_string(x));
        return x;
    };
    try {
        pool.map(fails, std::views::iota(0, 10), {.chunk_size = 1});
        BOOST_ERROR("did not throw");
    } catch (const std::runtime_error& error) {
        BOOST_TEST(error.what() == "3"s);
    }
}

BOOST_AUTO_TEST_CASE(a_serialiser_that_throws_fails_its_task_alone) {
    mp::Pool pool{1};
    // in the worker, on the way in
    BOOST_CHECK_THROW(pool.apply([](const Unreadable& u) { return u.n; }, Unreadable{1}),
                      std::underflow_error);
    // in the parent, on the way back
    BOOST_CHECK_THROW(pool.apply([](int n) { return Unreadable{n}; }, 1), std::underflow_error);
    BOOST_CHECK_THROW(pool.map([](int n) { return Unreadable{n}; }, std::vector{1, 2, 3}),
                      std::underflow_error);
    BOOST_TEST(pool.apply(square, 3) == 9);
}

BOOST_AUTO_TEST_CASE(what_no_worker_has_taken_can_be_cancelled) {
    mp::Pool pool{1};
    mp::Event go;
    auto running = pool.submit(wait_for, go, 1);
    support::wait_until([&] { return running.running(); });
    auto queued = pool.submit(wait_for, go, 2);
    auto last = pool.submit(wait_for, go, 3);
    BOOST_TEST(!queued.running());
    BOOST_TEST(queued.cancel());
    BOOST_TEST(queued.cancelled());
    BOOST_TEST(!running.cancel());
    go.set();
    BOOST_TEST(running.get() == 1);
    BOOST_TEST(last.get() == 3);
    pool.close();
    pool.join();
}

// More than the table has room for, and most of them withdrawn: the order of the table is full of
// them, and the rest must be done all the same.
BOOST_AUTO_TEST_CASE(thousands_can_be_cancelled) {
    mp::Pool pool{1};
    mp::Event go;
    auto running = pool.submit(wait_for, go, 1);
    support::wait_until([&] { return running.running(); });
    std::vector<mp::Future<int>> futures;
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 1500; ++i)
            futures.push_back(pool.submit(square, i));
        for (std::size_t i = futures.size() - 1500; i < futures.size(); ++i)
            if (i % 100 != 0)
                BOOST_REQUIRE(futures[i].cancel());
    }
    go.set();
    for (std::size_t i = 0; i < futures.size(); ++i)
        if (i % 100 == 0)
            BOOST_TEST(futures[i].get() == square(static_cast<int>(i % 1500)));
    pool.close();
    pool.join();
}

BOOST_AUTO_TEST_CASE(progress_is_told) {
    mp::Pool pool{2};
    std::vector<std::size_t> told;
    std::size_t all = 0;
    pool.map(square, std::views::iota(0, 10),
             {.chunk_size = 3, .progress = [&](std::size_t done, std::size_t of) {
                  told.push_back(done);
                  all = of;
              }});
    BOOST_TEST(told.size() == 4u);
    BOOST_TEST(std::is_sorted(told.begin(), told.end()));
    BOOST_TEST(told.back() == 10u);
    BOOST_TEST(all == 10u);
}

BOOST_AUTO_TEST_CASE(a_callback_may_submit) {
    mp::Pool pool{2};
    mp::Promise<int> end;
    pool.submit(square, 2).then([&](int four) {
        pool.submit(square, four).then([&](int sixteen) { end.set_value(sixteen); });
    });
    BOOST_TEST(end.get_future().get() == 16);
}

BOOST_AUTO_TEST_CASE(several_threads_submit) {
    mp::Pool pool{2};
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t)
        threads.emplace_back([&pool, t] {
            std::vector<mp::Future<int>> futures;
            for (int i = 0; i < 500; ++i)
                futures.push_back(pool.submit(square, t * i));
            for (int i = 0; i < 500; ++i)
                support::demand(futures[static_cast<std::size_t>(i)].get() == t * i * t * i);
        });
    threads.clear();
    pool.close();
    pool.join();
}

BOOST_AUTO_TEST_CASE(closing_lets_all_be_done) {
    mp::Pool pool{2};
    const auto map = pool.map_async(
        [](int x) {
            std::this_thread::sleep_for(1ms);
            return x;
        },
        std::views::iota(0, 2000), {.chunk_size = 20});
    pool.close();
    support::expect_error<mp::InvalidState>([&] { static_cast<void>(pool.submit(square, 1)); },
                                            {"closed"});
    pool.join();
    BOOST_TEST(map.ready());
    BOOST_TEST(map.get().size() == 2000u);
}

BOOST_AUTO_TEST_CASE(bad_numbers_are_refused) {
    mp::Pool pool{1};
    for (const int bad : {0, -1}) {
        support::expect_error<mp::InvalidArgument>(
            [&] { pool.map(square, std::vector{1}, {.chunk_size = bad}); }, {"at least 1"});
        support::expect_error<mp::InvalidArgument>(
            [&] { static_cast<void>(pool.imap(square, std::vector{1}, {.look_ahead = bad})); },
            {"at least 1"});
    }
    support::expect_error<mp::InvalidState>([&] { pool.join(); }, {"close()"});
    support::expect_error<mp::InvalidArgument>([] { mp::Pool{1'000'000}; }, {"1000000"});
    mp::Pool moved = std::move(pool);
    support::expect_error<mp::InvalidState>([&] { pool.close(); }, {"moved from"}); // NOLINT
    BOOST_TEST(moved.apply(square, 2) == 4);
}

BOOST_AUTO_TEST_CASE(a_task_may_have_a_pool_of_its_own) {
    mp::Pool pool{2};
    BOOST_TEST(pool.apply(
                   [](int n) {
                       mp::Pool inner{2};
                       const std::vector<int> all = inner.map(square, std::views::iota(0, n));
                       return std::accumulate(all.begin(), all.end(), 0);
                   },
                   5) == 30);
}

// What tasks, results and the pool itself had in shared memory comes back.
BOOST_AUTO_TEST_CASE(no_memory_is_left) {
    const auto round = [] {
        mp::Pool pool{2};
        pool.map([](const std::string& s) { return s + s; },
                 std::vector<std::string>(50, std::string(500, 'x')));
        pool.map(square, std::views::iota(0, 1000));
        pool.apply([](const std::string& s) { return s; }, std::string(5000, 'y'));
        static_cast<void>(pool.submit([] { std::this_thread::sleep_for(100s); }));
        static_cast<void>(
            pool.submit([](const std::string& s) { return s; }, std::string(5000, 'y')));
    };
    round();
    mp::arena::tree_space().sweep();
    const auto before = mp::arena::arena_usage();
    for (int i = 0; i < 3; ++i)
        round();
    mp::arena::tree_space().sweep();
    BOOST_TEST(mp::arena::arena_usage().blocks_used == before.blocks_used);
    BOOST_TEST(mp::arena::arena_usage().bytes_used == before.bytes_used);
}

BOOST_AUTO_TEST_CASE(no_descriptor_is_left) {
    const auto round = [] {
        mp::Pool pool{2};
        pool.apply(square, 2);
    };
    round();
    const std::size_t before = support::open_descriptors();
    round();
    BOOST_TEST(support::open_descriptors() == before);
}

BOOST_AUTO_TEST_SUITE_END()
