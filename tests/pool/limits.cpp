#include <multifork/channel/value.hpp>
#include <multifork/core/task_table.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/pool/executor.hpp>
#include <multifork/pool/parallel.hpp>
#include <multifork/pool/pool.hpp>

#include "pool/parallel_jobs.hpp"
#include "support/children.hpp"
#include "support/no_backstop.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <thread>
#include <vector>

// Limits in time that are as long as can be, and those that nobody may sleep through.

namespace mp = multifork;
namespace ut = boost::unit_test;
namespace support = multifork::test;
using namespace std::chrono_literals;
using namespace multifork::test::parallel_jobs;

namespace {

std::chrono::nanoseconds processor_time() {
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}
int slow_square(int x) {
    std::this_thread::sleep_for(2ms);
    return x * x;
}
constexpr auto longest = std::chrono::nanoseconds::max();

} // namespace

BOOST_AUTO_TEST_SUITE(pool_limits)

BOOST_AUTO_TEST_CASE(the_longest_limit_is_none_and_costs_nothing) {
    mp::Pool pool{1, {.task_limit = longest}};
    BOOST_TEST(pool.apply(square, 3) == 9);
    const auto before = processor_time();
    pool.apply([] { std::this_thread::sleep_for(1s); });
    // Nobody has spun meanwhile: time of the processor, which other programs do not add to.
    BOOST_TEST((processor_time() - before < 200ms));
}

// Its worker may do no more, and the next one takes its time to come.
BOOST_AUTO_TEST_CASE(a_share_of_a_map_that_waits_for_a_worker_costs_nothing) {
    mp::Value<int> started{0};
    const auto begin = [](mp::Value<int> workers) {
        if (workers.fetch_add(1) > 0)
            std::this_thread::sleep_for(2s);
    };
    mp::Pool pool{1, {.max_tasks_per_worker = 1, .task_limit = 1s}, begin, started};
    const auto before = processor_time();
    BOOST_TEST(pool.map(square, std::vector{1, 2}, {.chunk_size = 1}).size() == 2u);
    BOOST_TEST((processor_time() - before < 300ms));
}

// Whose worker has ended, and has no successor as long as there is no work.
BOOST_AUTO_TEST_CASE(an_idle_executor_costs_nothing) {
    mp::ProcessPoolExecutor executor{2, {.max_tasks_per_child = 1}};
    const int pid = executor.submit(own_pid).get();
    support::wait_until([&] { return ::kill(pid, 0) != 0; }); // it was reaped
    const auto before = processor_time();
    std::this_thread::sleep_for(1s);
    BOOST_TEST((processor_time() - before < 200ms));
    BOOST_TEST(executor.submit(own_pid).get() != pid);
}

BOOST_AUTO_TEST_CASE(the_longest_timeout_of_a_parallel_is_none) {
    const auto jobs = std::views::iota(0, 20) |
                      std::views::transform([](int x) { return mp::delayed(slow_square)(x); });
    for (const auto backend : backends)
        for (const std::int64_t batch : {1, 4}) {
            const mp::Parallel parallel{
                .n_jobs = 2, .backend = backend, .batch_size = batch, .timeout = longest};
            BOOST_TEST(parallel(jobs) == expected_squares(0, 20), boost::test_tools::per_element());
        }
}

BOOST_AUTO_TEST_CASE(a_batch_may_be_as_large_as_can_be) {
    for (const auto backend : backends)
        for (const std::int64_t batch : {INT64_MAX, INT64_C(1) << 62, INT64_C(1) << 61}) {
            const mp::Parallel parallel{.n_jobs = 2, .backend = backend, .batch_size = batch};
            BOOST_TEST(parallel(squares(0, 30)) == expected_squares(0, 30),
                       boost::test_tools::per_element());
        }
}

// A limit that is known only when the listener is heard of must not be missed.
BOOST_AUTO_TEST_CASE(who_listens_may_learn_by_looking_until_when,
                     *ut::fixture<support::NoBackstop>()) {
    const mp::detail::PoolTable table({1, 8});
    auto until = mp::platform::Deadline::never();
    mp::core::task_listen(table.view(), until, [&] {
        until = mp::platform::Deadline::after(1ms);
        return false;
    });
    BOOST_TEST(until.passed());
}

BOOST_AUTO_TEST_SUITE_END()
