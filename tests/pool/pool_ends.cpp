#include <multifork/pool/bind_front.hpp>
#include <multifork/pool/executor.hpp>
#include <multifork/pool/pool.hpp>
#include <multifork/pool/thread_pool.hpp>
#include <multifork/process/finalizer.hpp>
#include <multifork/sync/event.hpp>

#include "pool/scarce_memory.hpp"
#include "pool/thread_work.hpp"
#include "support/errors.hpp"
#include "support/program.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

// Pools that end after something went wrong, or while somebody else is about to use or join them.

namespace mp = multifork;
namespace support = multifork::test;
using support::square;

namespace {

/// Asks a pool when it is copied, if there is one.
struct Asks {
    mp::Pool** pool;
    explicit Asks(mp::Pool** of) : pool(of) {}
    Asks(const Asks& other) : pool(other.pool) {
        if (*pool != nullptr)
            asked = (*pool)->to_string();
    }
    Asks(Asks&&) = default;
    static inline std::string asked;
};

support::Gate making, made;
std::atomic<bool> refused = false;
std::unique_ptr<std::thread> user;

/// A thread makes the first core of an executor, and has done so when the exit handlers of all
/// executors have run.
const support::Program late{"executor-made-too-late", [] {
                                mp::at_exit([] { // the first to be registered is the last to run
                                    made.open();
                                    user->join();
                                    std::puts(refused ? "refused" : "made");
                                });
                                using State = mp::detail::ExecutorState<mp::detail::ThreadCore>;
                                const auto state = std::make_shared<State>("late", 1, [] {
                                    making.open();
                                    made.pass();
                                    return mp::detail::ThreadCore::start({1, "late", true, {}});
                                });
                                user = std::make_unique<std::thread>([state] {
                                    refused = support::throws<mp::InvalidState>(
                                                  [&] { static_cast<void>(state->open_core()); }) &&
                                              state->core() == nullptr;
                                });
                                making.pass();
                                return 0;
                            }};

} // namespace

BOOST_AUTO_TEST_SUITE(pool_ends)

BOOST_AUTO_TEST_CASE(several_may_join_at_once) {
    for (int round = 0; round < 50; ++round) {
        mp::Pool pool{1};
        pool.close();
        std::jthread other([&] { pool.join(); });
        pool.join();
    }
}

// What tells of a map may be the last to have the pool, and drops it, or ends it, when it likes.
BOOST_AUTO_TEST_CASE(the_progress_of_a_map_may_drop_the_pool) {
    support::Gate gone;
    mp::Event gate;
    const auto work = [](mp::Event g, int n) {
        g.wait();
        return n;
    };
    std::shared_ptr<mp::Pool> pool(new mp::Pool(1), [&](const mp::Pool* last) {
        delete last;
        gone.open();
    });
    const auto all = pool->map_async(mp::bind_front(work, gate), std::vector{1, 2},
                                     {.progress = [pool](auto, auto) {}});
    pool.reset();
    gate.set();
    BOOST_TEST(all.get().size() == 2u);
    gone.pass();
}

BOOST_AUTO_TEST_CASE(the_progress_of_a_map_on_threads_may_end_the_pool) {
    for (const bool drops : {false, true}) {
        support::Gate busy, gate;
        // Nobody joins a pool that was dropped by one of its own threads: the other one may be here
        // for longer than this function.
        const auto done = std::make_shared<support::Gate>();
        auto pool = std::make_unique<mp::ThreadPool>(2);
        static_cast<void>(pool->submit([&busy, done] {
            busy.open();
            done->pass();
        }));
        busy.pass();
        // One of its two helpers stays in the row, and is dropped from there.
        const auto all = pool->map_async([&](int) { gate.pass(); }, support::numbers(20),
                                         {.chunk_size = 1, .progress = [&](auto, auto) {
                                              if (drops)
                                                  pool.reset();
                                              else
                                                  pool->terminate();
                                          }});
        gate.open();
        BOOST_CHECK_THROW(all.get(), mp::Cancelled);
        done->open();
    }
}

// What an initializer gets is copied for each worker; by this one's copy constructor.
BOOST_AUTO_TEST_CASE(a_worker_is_started_while_others_can_use_the_pool) {
    mp::Pool* known = nullptr;
    mp::Pool pool{1, {.start_method = mp::StartMethod::fork}, [](const Asks&) {}, Asks(&known)};
    known = &pool;
    const auto dies = pool.submit([] { ::raise(SIGKILL); });
    BOOST_CHECK_THROW(dies.get(), mp::WorkerDied);
    BOOST_TEST(pool.apply(square, 3) == 9);
    BOOST_TEST(Asks::asked.find("<Pool") == 0u);
}

BOOST_AUTO_TEST_CASE(a_task_for_which_there_was_no_memory_is_not_waited_for) {
    mp::Pool pool{1};
    mp::Event gate;
    const auto busy = pool.submit([](mp::Event g) { g.wait(); }, gate);
    std::vector<mp::Future<int>> futures;
    for (int i = 0; i < 1100; ++i) // more than the table has room for
        futures.push_back(pool.submit(square, i));
    int failed = 0;
    for (int i = 0; i < 200; ++i) {
        futures.reserve(futures.size() + 1);
        for (int most = 0;; ++most) {
            bool done = false;
            support::allocations_left = most;
            try {
                futures.push_back(pool.submit(square, i));
                done = true;
            } catch (const std::bad_alloc&) {
                ++failed;
            }
            support::allocations_left = -1;
            if (done)
                break;
        }
    }
    BOOST_TEST(failed > 0);
    gate.set();
    for (const auto& future : futures)
        future.wait();
    pool.close();
    pool.join();
}

BOOST_AUTO_TEST_CASE(an_executor_that_comes_too_late_is_not_begun) {
    const auto result = support::run_program("executor-made-too-late");
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.out == "refused\n");
    BOOST_TEST(result.err == "");
}

BOOST_AUTO_TEST_SUITE_END()
