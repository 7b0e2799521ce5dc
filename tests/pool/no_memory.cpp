#include <multifork/pool/parallel.hpp>
#include <multifork/pool/pool.hpp>
#include <multifork/pool/thread_pool.hpp>
#include <multifork/pool/wait.hpp>
#include <multifork/sync/event.hpp>

#include "pool/parallel_jobs.hpp"
#include "pool/scarce_memory.hpp"
#include "pool/thread_work.hpp"

#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

// There is no memory for what a call needs: it throws, and can be made once more. Nobody waits for
// what was lost.

namespace mp = multifork;
namespace support = multifork::test;
namespace jobs = multifork::test::parallel_jobs;
using support::square;

namespace {

/// `call()` with so many allocations, until it throws or has returned. \return whether it has
template <class Call>
bool with_allocations(int most, Call call) {
    support::allocations_left = most;
    try {
        call();
    } catch (const std::bad_alloc&) {
        support::allocations_left = -1;
        return false;
    }
    support::allocations_left = -1;
    return true;
}
/// With one more each time, until it returns. \return how often it has thrown
template <class Call>
int until_it_returns(Call call) {
    int thrown = 0;
    while (!with_allocations(thrown, call))
        ++thrown;
    return thrown;
}

/// Goes through results that `make` gives, the first of them with few allocations.
template <class Make>
void go_through(Make make) {
    int last = -1;
    for (int most = 0; most < 60; ++most) {
        auto results = make();
        static_cast<void>(with_allocations(most, [&] {
            while (results.next()) {
            }
        }));
        int left = 0;
        for (bool more = true; more;) {
            try {
                more = results.next().has_value();
                left += more ? 1 : 0;
            } catch (const std::bad_alloc&) {
            }
        }
        last = left;
    }
    BOOST_TEST(last <= 8);
}

} // namespace

BOOST_AUTO_TEST_SUITE(no_memory)

BOOST_AUTO_TEST_CASE(a_task_that_could_not_be_cancelled_can_be_cancelled_again) {
    mp::Pool pool{1};
    mp::Event gate;
    const auto busy = pool.submit([](mp::Event g) { g.wait(); }, gate);
    auto waiting = pool.submit(square, 2);
    bool cancelled = false;
    BOOST_TEST(until_it_returns([&] { cancelled = waiting.cancel(); }) > 0);
    BOOST_TEST(cancelled);
    BOOST_TEST(waiting.cancelled());
    gate.set();
    busy.get();
}

BOOST_AUTO_TEST_CASE(a_pool_of_threads_that_could_not_be_terminated_can_be_terminated_again) {
    mp::ThreadPool pool{1};
    support::Gate begun, gate;
    const auto busy = pool.submit([&] {
        begun.open();
        gate.pass();
    });
    begun.pass();
    const auto waiting = pool.submit(square, 2);
    BOOST_TEST(until_it_returns([&] { pool.terminate(); }) > 0);
    BOOST_CHECK_THROW(static_cast<void>(waiting.get()), mp::Cancelled);
    gate.open();
    pool.join();
}

BOOST_AUTO_TEST_CASE(those_who_wait_hear_of_a_future_without_memory) {
    std::vector<mp::Promise<int>> promises(500);
    std::vector<mp::Future<int>> futures;
    for (const auto& promise : promises)
        futures.push_back(promise.get_future());
    auto completed = mp::as_completed(futures);
    BOOST_TEST(with_allocations(0, [&] {
        for (auto& promise : promises)
            promise.set_value(1);
    }));
    int count = 0;
    while (const auto future = completed.next())
        count += future->get();
    BOOST_TEST(count == 500);
}

BOOST_AUTO_TEST_CASE(results_one_after_another_come_to_an_end) {
    mp::ThreadPool pool{2};
    go_through([&] { return pool.imap(square, support::numbers(8)); });
    go_through([&] { return pool.imap_unordered(square, support::numbers(8)); });
    const mp::Parallel parallel{
        .n_jobs = 2, .backend = mp::ParallelBackend::threads, .batch_size = 1};
    go_through([&] { return parallel.generator(jobs::squares(0, 8)); });
    go_through([&] { return parallel.generator_unordered(jobs::squares(0, 8)); });
}

// More than the table has room for: its shares are kept in the memory of this process.
BOOST_AUTO_TEST_CASE(a_map_is_submitted_as_a_whole_or_not_at_all) {
    mp::Pool pool{3};
    mp::Event gate;
    std::vector<mp::Future<void>> before;
    for (int i = 0; i < 1100; ++i)
        before.push_back(pool.submit([](mp::Event g) { g.wait(); }, gate));
    const auto kept = std::make_shared<int>();
    const mp::MapOptions options{.chunk_size = 1, .progress = [kept](auto, auto) {}};
    std::vector<mp::Future<std::vector<int>>> maps(40);
    for (auto& map : maps)
        BOOST_TEST(until_it_returns([&] {
                       map = pool.map_async(square, std::vector{1, 2, 3}, options);
                   }) > 0);
    gate.set();
    for (const auto& map : maps)
        BOOST_TEST(map.get().size() == 3u);
    pool.close();
    pool.join();
    BOOST_TEST(kept.use_count() == 2); // here, and in the options
}

BOOST_AUTO_TEST_SUITE_END()
