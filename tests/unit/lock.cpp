#include <multifork/process/process.hpp>
#include <multifork/sync/lock.hpp>

#include "support/children.hpp"
#include "support/race.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

/// Whether another thread could take the lock now.
bool others_can_take(mp::Lock& lock) {
    bool taken = false;
    std::thread other([&] {
        taken = lock.try_lock();
        if (taken)
            lock.unlock();
    });
    other.join();
    return taken;
}

} // namespace

BOOST_AUTO_TEST_SUITE(lock)

BOOST_AUTO_TEST_CASE(a_new_lock_is_free) {
    mp::Lock lock;
    BOOST_TEST(!lock.owner().has_value());
    BOOST_TEST(others_can_take(lock));
}

BOOST_AUTO_TEST_CASE(a_held_lock_cannot_be_taken_by_another_thread) {
    mp::Lock lock;
    lock.lock();
    BOOST_TEST(!others_can_take(lock));
    lock.unlock();
    BOOST_TEST(others_can_take(lock));
}

BOOST_AUTO_TEST_CASE(scoped_lock_takes_several_locks_and_gives_them_back) {
    mp::Lock a;
    mp::Lock b;
    mp::Lock c;
    {
        const std::scoped_lock hold{a, b, c};
        BOOST_TEST(!others_can_take(a));
        BOOST_TEST(!others_can_take(b));
        BOOST_TEST(!others_can_take(c));
    }
    BOOST_TEST(others_can_take(a));
    BOOST_TEST(others_can_take(b));
    BOOST_TEST(others_can_take(c));
}

BOOST_AUTO_TEST_CASE(std_lock_in_opposite_orders_does_not_deadlock) {
    mp::Lock a;
    mp::Lock b;
    const int rounds = support::scaled(20'000);
    int both = 0;
    const auto work = [&](mp::Lock& first, mp::Lock& second) {
        for (int i = 0; i < rounds; ++i) {
            const std::scoped_lock hold{first, second};
            ++both;
        }
    };
    std::thread one(work, std::ref(a), std::ref(b));
    std::thread two(work, std::ref(b), std::ref(a));
    one.join();
    two.join();
    BOOST_TEST(both == 2 * rounds);
}

BOOST_AUTO_TEST_CASE(unique_lock_defers_tries_moves_and_releases) {
    mp::Lock lock;
    std::unique_lock guard{lock, std::defer_lock};
    BOOST_TEST(!guard.owns_lock());
    BOOST_TEST(guard.try_lock());
    std::unique_lock moved = std::move(guard);
    BOOST_TEST(moved.owns_lock());
    moved.unlock();
    BOOST_TEST(moved.try_lock_for(1ms));
    moved.unlock();
    BOOST_TEST(moved.try_lock_until(std::chrono::steady_clock::now() + 1ms));
    moved.unlock();
    BOOST_TEST(moved.try_lock_until(std::chrono::system_clock::now() + 1ms));
    BOOST_TEST(moved.release() == &lock);
    lock.unlock();
    const std::unique_lock second{lock, std::try_to_lock};
    BOOST_TEST(second.owns_lock());
}

BOOST_AUTO_TEST_CASE(adopt_lock_gives_back_what_was_taken_before) {
    mp::Lock lock;
    lock.lock();
    { const std::lock_guard hold{lock, std::adopt_lock}; }
    BOOST_TEST(others_can_take(lock));
}

BOOST_AUTO_TEST_CASE(zero_and_negative_durations_look_once) {
    mp::Lock lock;
    BOOST_TEST(lock.try_lock_for(0s));
    std::thread other([&] {
        BOOST_TEST(!lock.try_lock_for(0s));
        BOOST_TEST(!lock.try_lock_for(-1s));
        BOOST_TEST(!lock.try_lock_for(std::chrono::nanoseconds::min()));
        BOOST_TEST(!lock.try_lock_for(std::chrono::hours::min()));
        BOOST_TEST(!lock.try_lock_until(std::chrono::steady_clock::now() - 1h));
    });
    other.join();
    lock.unlock();
    BOOST_TEST(lock.try_lock_for(-1s)); // a free lock is taken all the same
    lock.unlock();
}

BOOST_AUTO_TEST_CASE(huge_durations_wait_until_the_lock_is_free) {
    mp::Lock lock;
    lock.lock();
    std::atomic<int> waiting{0};
    const auto wait = [&](auto duration) {
        ++waiting;
        const bool taken = lock.try_lock_for(duration);
        BOOST_TEST(taken);
        if (taken)
            lock.unlock();
    };
    std::vector<std::thread> threads;
    threads.emplace_back([&] { wait(std::chrono::nanoseconds::max()); });
    threads.emplace_back([&] { wait(std::chrono::hours::max()); });
    threads.emplace_back(
        [&] { wait(std::chrono::duration<double>(std::numeric_limits<double>::infinity())); });
    support::wait_until([&] { return waiting == 3; });
    std::this_thread::sleep_for(20ms); // most of the time they sleep by now; either way is right
    lock.unlock();
    for (std::thread& thread : threads)
        thread.join();
}

BOOST_AUTO_TEST_CASE(a_timed_wait_lasts_its_time) {
    mp::Lock lock;
    lock.lock();
    std::thread other([&] {
        const auto begin = std::chrono::steady_clock::now();
        BOOST_TEST(!lock.try_lock_for(30ms));
        BOOST_TEST((std::chrono::steady_clock::now() - begin >= 30ms));
    });
    other.join();
    lock.unlock();
}

BOOST_AUTO_TEST_CASE(the_owner_itself_times_out) {
    mp::Lock lock;
    lock.lock();
    BOOST_TEST(!lock.try_lock());
    BOOST_TEST(!lock.try_lock_for(10ms));
    lock.unlock();
}

BOOST_AUTO_TEST_CASE(lock_by_the_owner_is_a_deadlock_that_is_told) {
    mp::Lock lock;
    lock.lock();
    BOOST_CHECK_THROW(lock.lock(), mp::WouldDeadlock);
    lock.unlock();
    BOOST_TEST(others_can_take(lock));
}

BOOST_AUTO_TEST_CASE(copies_mean_the_same_lock) {
    mp::Lock lock;
    mp::Lock copy = lock;
    mp::Lock other;
    other = copy;
    lock.lock();
    BOOST_TEST(!copy.try_lock());
    other.unlock();
    BOOST_TEST(!copy.owner().has_value());
}

BOOST_AUTO_TEST_CASE(a_copy_outlives_the_original) {
    auto first = std::make_unique<mp::Lock>();
    mp::Lock copy = *first;
    first.reset();
    const std::scoped_lock hold{copy};
    BOOST_TEST(!others_can_take(copy));
}

BOOST_AUTO_TEST_CASE(owner_is_the_process_that_holds_it) {
    mp::Lock lock;
    lock.lock();
    BOOST_REQUIRE(lock.owner().has_value());
    BOOST_TEST(lock.owner()->pid == getpid());
    BOOST_TEST(lock.owner()->process == "MainProcess");
    BOOST_TEST(lock.owner()->alive);
    lock.unlock();
}

// Fails when lock() does nothing: the two steps of the increment interleave.
BOOST_AUTO_TEST_CASE(threads_lose_no_update) {
    mp::Lock lock;
    const int rounds = support::scaled(500);
    std::atomic<int> counter{0};
    support::race_in_threads(4, [&] {
        for (int i = 0; i < rounds; ++i) {
            const std::scoped_lock hold{lock};
            support::increment_in_two_steps(counter);
        }
    });
    BOOST_TEST(counter == 4 * rounds);
}

BOOST_AUTO_TEST_CASE(timed_waiters_that_give_up_leave_no_wake_up_behind) {
    mp::Lock lock;
    const int rounds = support::scaled(500);
    std::atomic<int> taken{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < rounds; ++i) {
                // Half of them wait so shortly that they often give up just as they are woken.
                if (t % 2 == 0 ? lock.try_lock_for(20us) : (lock.lock(), true)) {
                    ++taken;
                    std::this_thread::yield();
                    lock.unlock();
                }
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    BOOST_TEST(taken >= 2 * rounds);
    BOOST_TEST(!lock.owner().has_value());
}

BOOST_AUTO_TEST_SUITE_END()
