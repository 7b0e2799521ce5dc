#include <multifork/channel/value.hpp>
#include <multifork/pool/pool.hpp>
#include <multifork/process/this_process.hpp>
#include <multifork/sync/event.hpp>

#include "pool/thread_work.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/no_backstop.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <sys/types.h>
#include <unistd.h>

// Workers that end with a task, in each way; and what the pool makes of it.

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

int own_pid() {
    return ::getpid();
}
void end_by_signal(int number) {
    std::signal(number, SIG_DFL);
    ::raise(number);
}
void end_by_exit(int code) {
    std::exit(code);
}
int sleep_long(mp::Event begun) {
    begun.set();
    for (;;)
        ::pause();
}

template <class Future>
mp::WorkerDied expect_worker_died(const Future& future) {
    try {
        static_cast<void>(future.get());
    } catch (const mp::WorkerDied& died) {
        return died;
    }
    BOOST_FAIL("the task did not fail");
    std::abort();
}

} // namespace

BOOST_AUTO_TEST_SUITE(deaths)

BOOST_AUTO_TEST_CASE(a_killed_worker_fails_its_task_alone) {
    mp::Pool pool{2};
    std::vector<mp::Future<int>> before;
    for (int i = 0; i < 20; ++i)
        before.push_back(pool.submit(own_pid));
    const auto killed = pool.submit(end_by_signal, SIGKILL);
    std::vector<mp::Future<int>> after;
    for (int i = 0; i < 20; ++i)
        after.push_back(pool.submit(own_pid));
    const mp::WorkerDied died = expect_worker_died(killed);
    BOOST_TEST(died.signal() == SIGKILL);
    BOOST_TEST(died.task_index() == 20u);
    BOOST_TEST(died.pid() > 0);
    BOOST_TEST(std::string(died.what()).find("signal 9") != std::string::npos);
    for (const auto& future : before)
        BOOST_TEST(future.get() > 0);
    for (const auto& future : after)
        BOOST_TEST(future.get() != died.pid()); // the pid is not that of a worker any more
    BOOST_TEST(pool.processes().size() == 2u);
}

BOOST_AUTO_TEST_CASE(every_way_to_end_is_told) {
    mp::Pool pool{2};
    BOOST_TEST(expect_worker_died(pool.submit(end_by_exit, 3)).exitcode() == 3);
    BOOST_TEST(expect_worker_died(pool.submit(end_by_exit, 0)).exitcode() == 0);
    BOOST_TEST(expect_worker_died(pool.submit(end_by_signal, SIGTERM)).signal() == SIGTERM);
    BOOST_TEST(expect_worker_died(pool.submit([] { ::_exit(7); })).exitcode() == 7);
    BOOST_TEST(expect_worker_died(pool.submit([] {
                   static_cast<void>(std::freopen("/dev/null", "w", stderr));
                   std::abort();
               })).signal() == SIGABRT);
    BOOST_TEST(pool.apply(own_pid) > 0);
}

BOOST_AUTO_TEST_CASE(a_task_that_becomes_another_program_has_ended) {
    mp::Pool pool{1};
    const auto gone = pool.submit([] { ::execl("/bin/sleep", "sleep", "100", nullptr); });
    static_cast<void>(expect_worker_died(gone));
    BOOST_TEST(pool.apply(own_pid) > 0);
}

BOOST_AUTO_TEST_CASE(idle_workers_that_are_killed_are_replaced) {
    mp::Pool pool{2};
    BOOST_TEST(pool.map([](int x) { return x; }, std::vector{1, 2, 3}).size() == 3u);
    for (const mp::ProcessHandle& worker : pool.processes())
        ::kill(worker.pid().value(), SIGKILL);
    BOOST_TEST(pool.map([](int x) { return x; }, std::vector{1, 2, 3}).size() == 3u);
}

BOOST_AUTO_TEST_CASE(in_a_map_the_chunk_of_the_dead_fails) {
    mp::Pool pool{2};
    const auto sevens_die = [](int x) {
        if (x == 7)
            ::raise(SIGKILL);
        return x;
    };
    std::vector<int> numbers(20);
    for (int i = 0; i < 20; ++i)
        numbers[static_cast<std::size_t>(i)] = i;
    const auto map = pool.map_async(sevens_die, numbers, {.chunk_size = 1});
    BOOST_TEST(expect_worker_died(map).signal() == SIGKILL);
    BOOST_TEST(pool.map([](int x) { return x; }, numbers) == numbers,
               boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_task_is_tried_again_if_asked_for) {
    mp::Pool pool{2, {.when_worker_dies = mp::on_worker_death::retry_task, .retries = 2}};
    mp::Value<int> tries{0};
    const auto third_time = [](mp::Value<int> count) {
        if (count.fetch_add(1) < 2)
            ::raise(SIGKILL);
        return 42;
    };
    BOOST_TEST(pool.apply(third_time, tries) == 42);
    BOOST_TEST(tries.load() == 3);
    const auto never = [](mp::Value<int> count) {
        count.fetch_add(1);
        ::raise(SIGKILL);
    };
    static_cast<void>(expect_worker_died(pool.submit(never, tries)));
    BOOST_TEST(tries.load() == 6); // once, and two retries
}

BOOST_AUTO_TEST_CASE(a_pool_breaks_if_asked_to) {
    mp::Pool pool{2, {.when_worker_dies = mp::on_worker_death::break_pool}};
    mp::Event begun;
    const auto other = pool.submit(sleep_long, begun);
    begun.wait();
    const auto killed = pool.submit(end_by_signal, SIGSEGV);
    support::expect_error<mp::BrokenProcessPool>([&] { killed.get(); }, {"exit code -11", "break"});
    support::expect_error<mp::BrokenProcessPool>([&] { static_cast<void>(other.get()); },
                                                 {"task 1"});
    support::expect_error<mp::BrokenProcessPool>([&] { static_cast<void>(pool.submit(own_pid)); },
                                                 {});
    pool.join();
}

// Without the tick a limit that nobody is woken for is for ever.
BOOST_AUTO_TEST_CASE(a_task_past_its_limit_is_killed,
                     *boost::unit_test::fixture<support::NoBackstop>()) {
    mp::Pool pool{1, {.task_limit = 1s}};
    mp::Event begun;
    const auto endless = pool.submit(sleep_long, begun);
    const auto next = pool.submit(own_pid);
    support::expect_error<mp::TaskTimedOut>([&] { static_cast<void>(endless.get()); },
                                            {"1000 ms", "killed"});
    BOOST_TEST(next.get() > 0);
}

BOOST_AUTO_TEST_CASE(a_throwing_initializer_breaks_the_pool) {
    mp::Pool pool{2, {}, [](const std::string& what) { throw std::out_of_range(what); }, "no luck"};
    // By submit() already, if the worker was quicker.
    support::expect_error<mp::BrokenProcessPool>([&] { pool.apply(own_pid); },
                                                 {"initializer", "std::out_of_range", "no luck"});
    pool.join();
    support::expect_error<mp::BrokenProcessPool>([&] { static_cast<void>(pool.submit(own_pid)); },
                                                 {"no luck"});
}

BOOST_AUTO_TEST_CASE(an_initializer_that_kills_does_not_loop) {
    mp::Pool pool{1, {}, [] { ::raise(SIGKILL); }};
    support::expect_error<mp::BrokenProcessPool>([&] { pool.apply(own_pid); },
                                                 {"in a row", "exit code -9"});
}

BOOST_AUTO_TEST_CASE(workers_end_with_their_parent) {
    mp::Value<int> worker{0};
    mp::Process parent{[&] {
        mp::Pool pool{1};
        worker.value() = pool.apply(own_pid);
        mp::Event begun;
        const auto task = pool.submit(sleep_long, begun);
        begun.wait();
        ::raise(SIGKILL);
    }};
    parent.start();
    parent.join();
    BOOST_TEST(parent.exitcode().value() == -SIGKILL);
    const pid_t pid = worker.value();
    BOOST_TEST(pid > 0);
    support::wait_until([&] { return !support::runs(pid); });
}

BOOST_AUTO_TEST_CASE(a_child_with_a_copy_of_the_pool_is_told) {
    mp::Pool pool{1};
    support::run_in_child([&] {
        support::demand(
            support::throws<mp::ProcessError>([&] { static_cast<void>(pool.submit(own_pid)); }));
        support::demand(support::throws<mp::ProcessError>([&] { pool.close(); }));
        support::demand(support::throws<mp::ProcessError>([&] { pool.terminate(); }));
    });
    BOOST_TEST(pool.apply(own_pid) > 0);
}

// What killed workers had in shared memory comes back; all of it when the pool has ended, for a
// worker keeps what was there when it was forked, as every child does.
BOOST_AUTO_TEST_CASE(deaths_leave_no_memory_behind) {
    const auto big = [](int n) {
        if (n % 2 == 0)
            ::raise(SIGKILL);
        return std::string(5000, 'x');
    };
    const auto round = [&] {
        mp::Pool pool{2};
        for (int i = 0; i < 6; ++i)
            pool.submit(big, i).wait();
    };
    round();
    mp::arena::tree_space().sweep();
    const auto before = mp::arena::arena_usage().blocks_used;
    round();
    round();
    mp::arena::tree_space().sweep();
    BOOST_TEST(mp::arena::arena_usage().blocks_used == before);
}

// The pool hears of its workers' end after those who have handles on them.
BOOST_AUTO_TEST_CASE(a_handle_on_a_worker_may_be_closed_before_the_pool_buries_it) {
    for (const bool terminated : {false, true}) {
        mp::Pool pool{2};
        support::Gate busy, gate;
        mp::Event has_callback; // a future that is done calls it at once, here
        const auto first = pool.submit([](mp::Event go) { go.wait(); }, has_callback);
        first.add_done_callback([&](const auto&) {
            busy.open();
            gate.pass();
        });
        has_callback.set();
        busy.pass();
        for (const mp::ProcessHandle& worker : pool.processes()) {
            worker.kill();
            worker.join();
            worker.close();
        }
        if (terminated)
            pool.terminate();
        gate.open();
        if (!terminated)
            BOOST_TEST(pool.apply(own_pid) > 0);
        pool.terminate();
        pool.join();
        BOOST_TEST(pool.processes().empty());
    }
}

BOOST_AUTO_TEST_SUITE_END()
