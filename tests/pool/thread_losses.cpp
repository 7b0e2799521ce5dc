#include <multifork/pool/thread_pool.hpp>

#include "pool/thread_work.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include <pthread.h>

// Tasks that end the thread which runs them: who takes its place, and who does the rest.

namespace mp = multifork;
namespace ut = boost::unit_test;
namespace support = multifork::test;

using support::numbers;
using support::square;

namespace {

void end_thread() {
    ::pthread_exit(nullptr);
}
/// How many mappings this process has: each stack is one or two.
long mappings() {
    std::ifstream maps("/proc/self/maps");
    return std::count(std::istreambuf_iterator<char>(maps), std::istreambuf_iterator<char>(), '\n');
}

} // namespace

// A forced unwinding is no exception that TSan or ASan follow.
BOOST_AUTO_TEST_SUITE(thread_losses, *ut::label("no_tsan") * ut::label("no_asan"))

BOOST_AUTO_TEST_CASE(the_rest_of_a_map_wakes_a_thread_that_sleeps) {
    mp::ThreadPool pool{2, {.start_on_demand = true}};
    support::Gate gate;
    const auto first = pool.submit([&] { gate.pass(); });
    static_cast<void>(pool.apply(square, 2)); // both threads are there
    gate.open();
    first.get();
    // One task for one item, as there are more threads than work: none is started.
    BOOST_CHECK_THROW(pool.map([](int) { end_thread(); }, numbers(1)), mp::WorkerDied);
    BOOST_TEST(pool.apply(square, 3) == 9);
}

BOOST_AUTO_TEST_CASE(join_waits_for_who_takes_the_place_of_a_lost_thread) {
    for (int round = 0; round < 200; ++round) {
        mp::ThreadPool pool{1};
        support::Gate gate;
        const auto lost = pool.submit([&] {
            gate.pass();
            end_thread();
        });
        const auto behind = pool.submit(square, 3);
        pool.close();
        // Looks all the time, so that the lost thread meets somebody at the mutex.
        bool was_ready = false;
        std::thread looks([&] {
            while (!pool.threads().empty())
                std::this_thread::yield(); // or nobody else would get the mutex on a busy machine
            was_ready = behind.ready();
        });
        gate.open();
        pool.join();
        looks.join();
        BOOST_REQUIRE(was_ready);
        BOOST_REQUIRE(behind.ready());
        BOOST_REQUIRE((behind.exception() == nullptr));
        BOOST_CHECK_THROW(lost.get(), mp::WorkerDied);
    }
}

BOOST_AUTO_TEST_CASE(a_map_whose_threads_are_lost_is_done_in_a_closed_pool) {
    for (int round = 0; round < 200; ++round) {
        mp::ThreadPool pool{2, {.start_on_demand = true}};
        const auto map = pool.map_async([](int) { end_thread(); }, numbers(4), {.chunk_size = 1});
        pool.close();
        pool.join();
        BOOST_REQUIRE(map.ready());
        BOOST_CHECK_THROW(map.get(), mp::WorkerDied);
    }
}

BOOST_AUTO_TEST_CASE(lost_threads_leave_no_stacks_behind) {
    mp::ThreadPool pool{1};
    const auto lose = [&pool](int count) {
        for (int i = 0; i < count; ++i)
            pool.submit(end_thread).wait();
    };
    lose(20);
    const long before = mappings();
    lose(300);
    // A thread ends only once its successor has begun: the last ones may be on their way.
    support::wait_until([&] { return mappings() < before + 100; });
}

BOOST_AUTO_TEST_SUITE_END()
