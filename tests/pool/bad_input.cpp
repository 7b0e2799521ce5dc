#include <multifork/pool/pool.hpp>
#include <multifork/process/this_process.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/no_backstop.hpp"
#include "support/program.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/prctl.h>

// What goes wrong in the hands of a user of a pool: each is told by the right future, and the pool
// goes on.

namespace mp = multifork;
namespace ut = boost::unit_test;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

int square(int x) {
    return x * x;
}

/// Throws when it is read.
struct Unreadable {
    int n = 0;
    std::string not_plain = {};
    template <class Archive>
    void save(Archive& archive) const {
        archive(n);
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(n);
        if (n == 3)
            throw std::range_error("this cannot be read");
    }
};

/// Throws when it is written down.
struct Unwritable {
    int n = 0;
    std::string not_plain = {};
    template <class Archive>
    void save(Archive&) const {
        throw std::range_error("this cannot be written down");
    }
    template <class Archive>
    void load(Archive&) {}
};

/// What an initializer gets; a worker that is to take another's place cannot have it.
struct Used {
    static inline std::atomic<bool> up = false;
    Used() = default;
    Used(const Used&) {
        if (up)
            throw 42;
    }
    Used(Used&&) = default;
};

struct Plain : std::runtime_error {
    using std::runtime_error::runtime_error;
};
struct Detailed {
    int line = 0;
    std::string file = {};
};
struct Last final : std::runtime_error {
    using std::runtime_error::runtime_error;
};
struct Unregistered : Plain {
    using Plain::Plain;
};
const mp::RegisteredException<Plain> plain_registered;
const mp::RegisteredException<Detailed> detailed_registered;
const mp::RegisteredException<Last> last_registered;

std::vector<int> numbers(int count) {
    std::vector<int> all(static_cast<std::size_t>(count));
    std::iota(all.begin(), all.end(), 0);
    return all;
}

int sum_after_errors(mp::Pool& pool) {
    const std::vector<int> all = pool.map(square, numbers(100));
    return std::accumulate(all.begin(), all.end(), 0);
}
constexpr int sum_of_squares = 328'350;

bool is_out_of_memory(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const mp::OutOfSharedMemory&) {
        return true;
    } catch (const std::bad_alloc&) {
        return true;
    } catch (...) {
        return false;
    }
}

/// In an arena of 32 MiB.
const support::Program full{
    "pool-in-a-full-arena", [] {
        mp::Pool pool{2};
        const auto long_text = [](int n) { return std::string(n % 10 == 3 ? 64u << 20 : 10, 'x'); };

        // One result of many is too large: the map says so, and other maps are done.
        auto map = pool.map_async(long_text, numbers(100), {.chunk_size = 1});
        support::demand(is_out_of_memory(map.exception()));
        support::demand(sum_after_errors(pool) == sum_of_squares);

        // So many results that the arena is full in the middle of the map.
        const auto much = [](int) { return std::string(1 << 20, 'y'); };
        map = pool.map_async(much, numbers(200), {.chunk_size = 1});
        support::demand(is_out_of_memory(map.exception()));
        support::demand(sum_after_errors(pool) == sum_of_squares);

        // The input is too large already.
        support::demand(support::throws<mp::OutOfSharedMemory>([&] {
            static_cast<void>(pool.map([](char c) { return c; }, std::string(64u << 20, 'z')));
        }));
        support::demand(is_out_of_memory(pool.submit(long_text, 3).exception()));
        support::demand(sum_after_errors(pool) == sum_of_squares);
        std::puts("well");
        return 0;
    }};

} // namespace

BOOST_AUTO_TEST_SUITE(pool_bad_input)

BOOST_AUTO_TEST_CASE(a_segmentation_fault_fails_its_task_alone) {
    mp::Pool pool{2};
    const auto faults = pool.submit(
        [](std::uintptr_t nowhere) {
            ::prctl(PR_SET_DUMPABLE, 0);
            std::signal(SIGSEGV, SIG_DFL);
            return *reinterpret_cast<volatile int*>(nowhere);
        },
        std::uintptr_t{8});
    try {
        faults.get();
        BOOST_ERROR("did not fail");
    } catch (const mp::WorkerDied& died) {
        // A sanitizer reports it, and exits.
        BOOST_TEST((died.signal() == SIGSEGV || died.exitcode() > 0));
    }
    BOOST_TEST(sum_after_errors(pool) == sum_of_squares);
}

BOOST_AUTO_TEST_CASE(one_chunk_past_its_limit_fails_the_map_and_no_other_chunk,
                     *ut::fixture<support::NoBackstop>()) {
    mp::Pool pool{2, {.task_limit = 1s}};
    std::vector<std::size_t> told;
    const auto sleeps = [](int x) {
        if (x == 5)
            std::this_thread::sleep_for(100s);
        return x;
    };
    const auto map = pool.map_async(
        sleeps, numbers(40),
        {.chunk_size = 1, .progress = [&](auto done, auto) { told.push_back(done); }});
    try {
        static_cast<void>(map.get());
        BOOST_ERROR("did not fail");
    } catch (const mp::TaskTimedOut& late) {
        BOOST_TEST(late.task_index() == 5u);
    }
    BOOST_TEST(told.size() == 40u); // all others were done
    BOOST_TEST(sum_after_errors(pool) == sum_of_squares);
}

BOOST_AUTO_TEST_CASE(a_chunk_is_tried_again_and_each_item_is_there_once) {
    mp::Pool pool{2, {.when_worker_dies = mp::on_worker_death::retry_task, .retries = 1000}};
    // Each item kills its worker about one time in four.
    const auto dies_often = [](int x) {
        const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
        if ((now / 64 + x) % 4 == 0)
            ::raise(SIGKILL);
        return x;
    };
    BOOST_TEST(pool.map(dies_often, numbers(60), {.chunk_size = 2}) == numbers(60),
               boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(every_chunk_kills_and_the_first_one_counts) {
    mp::Pool pool{2};
    const auto map = pool.map_async([](int) { ::raise(SIGKILL); }, numbers(7), {.chunk_size = 1});
    try {
        map.get();
        BOOST_ERROR("did not fail");
    } catch (const mp::WorkerDied& died) {
        BOOST_TEST(died.task_index() == 0u);
        BOOST_TEST(died.signal() == SIGKILL);
    }
    BOOST_TEST(sum_after_errors(pool) == sum_of_squares);
}

BOOST_AUTO_TEST_CASE(workers_that_may_do_few_chunks_do_a_whole_map_together) {
    mp::Pool pool{2, {.max_tasks_per_worker = 3}};
    const std::vector<int> pids =
        pool.map([](int) { return mp::this_process::pid(); }, numbers(20), {.chunk_size = 1});
    for (const int pid : pids)
        BOOST_TEST(std::count(pids.begin(), pids.end(), pid) <= 3);
}

BOOST_AUTO_TEST_CASE(an_input_that_throws_halfway_throws_in_map) {
    mp::Pool pool{2};
    const auto broken = std::views::iota(0, 50) | std::views::transform([](int i) {
                            if (i == 20)
                                throw std::domain_error("the input throws");
                            return i;
                        });
    support::expect_error<std::domain_error>([&] { pool.map(square, broken); },
                                             {"the input throws"});
    const auto broken_texts = std::views::iota(0, 50) | std::views::transform([](int i) {
                                  if (i == 20)
                                      throw std::domain_error("the input throws");
                                  return std::to_string(i);
                              });
    support::expect_error<std::domain_error>(
        [&] { pool.map([](const std::string& s) { return s; }, broken_texts); },
        {"the input throws"});
    BOOST_TEST(sum_after_errors(pool) == sum_of_squares);
}

BOOST_AUTO_TEST_CASE(a_serialiser_that_throws_when_writing_fails_its_task_alone) {
    mp::Pool pool{1};
    // in the parent, on the way in
    support::expect_error<std::range_error>(
        [&] {
            static_cast<void>(pool.submit([](const Unwritable& u) { return u.n; }, Unwritable{}));
        },
        {"written down"});
    support::expect_error<std::range_error>(
        [&] { pool.map([](const Unwritable& u) { return u.n; }, std::vector<Unwritable>(3)); },
        {"written down"});
    // in the worker, on the way back
    BOOST_CHECK_THROW(pool.apply([] { return Unwritable{}; }), std::range_error);
    BOOST_CHECK_THROW(pool.map([](int) { return Unwritable{}; }, numbers(5)), std::range_error);
    BOOST_TEST(sum_after_errors(pool) == sum_of_squares);
}

BOOST_AUTO_TEST_CASE(a_terminated_pool_says_that_it_is) {
    mp::Pool pool{1};
    const auto sleeper = pool.submit([] { std::this_thread::sleep_for(100s); });
    const auto map = pool.map_async(square, numbers(10));
    pool.terminate();
    support::expect_error<mp::InvalidState>([&] { static_cast<void>(pool.submit(square, 1)); },
                                            {"terminated"});
    support::expect_error<mp::InvalidState>([&] { pool.map(square, numbers(3)); }, {"terminated"});
    support::expect_error<mp::Cancelled>([&] { sleeper.get(); }, {"terminated"});
    support::expect_error<mp::Cancelled>([&] { static_cast<void>(map.get()); }, {"terminated"});
    pool.join();
}

BOOST_AUTO_TEST_CASE(a_result_of_a_map_that_cannot_be_read_breaks_a_pool_that_was_told_to) {
    const auto make = [](int n) { return Unreadable{n}; };
    mp::Pool pool{2};
    support::expect_error<std::range_error>([&] { pool.map(make, numbers(10), {.chunk_size = 1}); },
                                            {"cannot be read"});
    BOOST_TEST(sum_after_errors(pool) == sum_of_squares);
    mp::Pool brittle{2, {.when_worker_dies = mp::on_worker_death::break_pool}};
    BOOST_TEST(brittle.map(make, std::vector{1, 2}).size() == 2u);
    BOOST_CHECK_THROW(
        brittle.map([](int n) { return n != 3 ? n : throw Plain("but this is"); }, numbers(5)),
        Plain);
    support::expect_error<mp::BrokenProcessPool>(
        [&] { brittle.map(make, numbers(10), {.chunk_size = 1}); }, {"cannot be read", "break"});
    support::expect_error<mp::BrokenProcessPool>(
        [&] { static_cast<void>(brittle.submit(square, 1)); }, {"cannot be read"});
}

BOOST_AUTO_TEST_CASE(a_pool_is_broken_by_whatever_keeps_a_worker_from_starting) {
    mp::Pool pool{1, {.start_method = mp::StartMethod::fork}, [](const Used&) {}, Used()};
    BOOST_TEST(pool.apply(square, 3) == 9);
    Used::up = true;
    const auto task = pool.submit([] { ::raise(SIGKILL); });
    BOOST_CHECK_THROW(task.get(), mp::WorkerDied);
    support::wait_until([&] {
        return support::throws<mp::BrokenProcessPool>(
            [&] { static_cast<void>(pool.submit(square, 1)); });
    });
    Used::up = false;
    pool.join();
}

BOOST_AUTO_TEST_CASE(registered_exceptions_have_their_type) {
    for (const char* method : {"fork", "spawn"}) {
        mp::Pool pool{mp::get_context(method), 1};
        try {
            pool.apply([]() -> void { throw Plain("with its text"); });
            BOOST_ERROR("did not throw");
        } catch (const Plain& plain) {
            BOOST_TEST(plain.what() == std::string("with its text"));
            BOOST_TEST(mp::remote_cause(plain)->pid() > 0);
        }
        try {
            pool.map(
                [](int x) {
                    return x < 3 ? x : throw Detailed{x, "a file"};
                },
                numbers(5), {.chunk_size = 1});
            BOOST_ERROR("did not throw");
        } catch (const Detailed& detailed) {
            BOOST_TEST(detailed.line == 3);
            BOOST_TEST(detailed.file == "a file");
        }
        BOOST_CHECK_THROW(pool.apply([]() -> void { throw Last("final"); }), Last);
        // A type derived from a registered one is another type.
        support::expect_error<mp::RemoteError>(
            [&] { pool.apply([]() -> void { throw Unregistered("?"); }); }, {"Unregistered", "?"});
    }
}

BOOST_AUTO_TEST_CASE(a_full_arena_fails_what_does_not_fit_and_nothing_else) {
    const auto result = support::run_program("pool-in-a-full-arena",
                                             {{"MULTIFORK_ARENA_BYTES", std::to_string(32 << 20)}});
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.out == "well\n");
    BOOST_TEST(result.err == "");
}

BOOST_AUTO_TEST_CASE(a_result_of_a_gibibyte_comes_whole, *ut::label("full") * ut::timeout(300) *
                                                             ut::label("no_asan") *
                                                             ut::label("no_tsan")) {
    mp::Pool pool{1};
    constexpr std::size_t gibibyte = 1u << 30;
    const std::string large =
        pool.apply([](std::size_t n) { return std::string(n, 'g'); }, gibibyte);
    BOOST_TEST(large.size() == gibibyte);
    BOOST_TEST((large.front() == 'g' && large.back() == 'g'));
    BOOST_TEST(sum_after_errors(pool) == sum_of_squares);
}

BOOST_AUTO_TEST_SUITE_END()
