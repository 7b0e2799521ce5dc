#include <multifork/liveness/tuning.hpp>
#include <multifork/sync/condition.hpp>
#include <multifork/sync/event.hpp>
#include <multifork/sync/lock.hpp>
#include <multifork/sync/rlock.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/leftovers.hpp"
#include "unit/named_files.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <mutex>
#include <thread>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

/// Threads that wait for one notification each, in the order in which they are numbered.
class Waiters {
public:
    Waiters(mp::Lock& lock, mp::Condition& condition, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            threads_.emplace_back([&, i] {
                std::unique_lock hold{lock};
                condition.wait(hold);
                order_.push_back(i);
                ++through_;
            });
            support::wait_until([&] { return condition.waiters() == i + 1; });
        }
    }
    ~Waiters() {
        for (std::thread& thread : threads_)
            thread.join();
    }
    Waiters(const Waiters&) = delete;
    Waiters& operator=(const Waiters&) = delete;

    void await(int count) const {
        support::wait_until([&] { return through_ >= count; });
        BOOST_TEST(through_ == count);
    }
    [[nodiscard]] const std::vector<std::size_t>& order() const { return order_; }

private:
    std::vector<std::size_t> order_; // under the lock
    std::atomic<int> through_{0};
    std::vector<std::thread> threads_;
};

} // namespace

BOOST_AUTO_TEST_SUITE(condition)

BOOST_AUTO_TEST_CASE(each_notification_wakes_the_one_who_has_waited_longest) {
    mp::liveness::tuning().tick_ns = 0;
    mp::Lock lock;
    mp::Condition condition;
    Waiters waiters(lock, condition, 5);
    condition.notify_one();
    waiters.await(1);
    condition.notify_one();
    waiters.await(2);
    condition.notify(0);
    condition.notify(2);
    waiters.await(4);
    BOOST_TEST(condition.waiters() == 1u);
    condition.notify(100);
    waiters.await(5);
    const std::scoped_lock hold{lock};
    BOOST_TEST((waiters.order()[0] == 0 && waiters.order()[1] == 1 && waiters.order()[4] == 4));
    BOOST_TEST(condition.waiters() == 0u);
}

BOOST_AUTO_TEST_CASE(notify_all_wakes_all_and_nobody_who_comes_later) {
    mp::liveness::tuning().tick_ns = 0;
    mp::Lock lock;
    mp::Condition condition;
    condition.notify_all();
    condition.notify_one();
    {
        Waiters waiters(lock, condition, 4);
        condition.notify_all();
    }
    std::unique_lock hold{lock};
    BOOST_TEST(!condition.wait_for(hold, 10ms));
    BOOST_TEST(hold.owns_lock());
    BOOST_TEST(fmt::format("{}", condition) == "<Condition waiters=0>");
}

BOOST_AUTO_TEST_CASE(timed_waits_last_their_time_and_hold_the_lock_again) {
    mp::Lock lock;
    mp::Condition condition;
    std::unique_lock hold{lock};
    const auto begin = std::chrono::steady_clock::now();
    BOOST_TEST(!condition.wait_for(hold, 30ms));
    BOOST_TEST((std::chrono::steady_clock::now() - begin >= 30ms));
    BOOST_TEST(!condition.wait_for(hold, 0s));
    BOOST_TEST(!condition.wait_for(hold, -1s));
    BOOST_TEST(!condition.wait_for(lock, std::chrono::hours::min()));
    BOOST_TEST(!condition.wait_until(hold, std::chrono::steady_clock::now() - 1h));
    BOOST_TEST(lock.owner()->pid == getpid());
}

BOOST_AUTO_TEST_CASE(forms_with_a_predicate) {
    mp::Lock lock;
    mp::Condition condition;
    std::unique_lock hold{lock};
    int asked = 0;
    condition.wait(hold, [&] { return ++asked > 0; });
    BOOST_TEST(asked == 1);
    BOOST_TEST(condition.wait_for(hold, 0s, [] { return true; }));
    BOOST_TEST(!condition.wait_for(hold, 5ms, [] { return false; }));
    BOOST_TEST(!condition.wait_until(hold, std::chrono::steady_clock::now(), [] { return false; }));
    // Said at the end of the time, not before: the predicate has the last word.
    bool late = false;
    BOOST_TEST(condition.wait_for(hold, 5ms, [&] { return std::exchange(late, true); }));
    int state = 0;
    std::thread other([&] {
        for (int i = 0; i < 3; ++i) {
            const std::scoped_lock mine{lock};
            ++state;
            condition.notify_one();
        }
    });
    BOOST_TEST(condition.wait_for(hold, std::chrono::hours::max(), [&] { return state == 3; }));
    hold.unlock();
    other.join();
}

BOOST_AUTO_TEST_CASE(waiting_without_the_lock_throws_and_leaves_no_place_behind) {
    mp::Lock lock;
    mp::RLock recursive;
    mp::Condition condition;
    BOOST_CHECK_THROW(condition.wait(lock), mp::NotOwner);
    BOOST_CHECK_THROW(condition.wait(recursive), mp::NotOwner);
    std::unique_lock none{lock, std::defer_lock};
    BOOST_CHECK_THROW(condition.wait(none), std::system_error);
    std::unique_lock<mp::RLock> nothing;
    BOOST_CHECK_THROW(condition.wait(nothing), std::system_error);
    BOOST_TEST(condition.waiters() == 0u);
}

BOOST_AUTO_TEST_CASE(a_recursive_lock_is_given_up_entirely_and_taken_back) {
    mp::RLock lock;
    mp::Condition condition;
    const auto notify_under_the_lock = [&] {
        const std::scoped_lock hold{lock};
        condition.notify_one();
    };
    lock.lock();
    lock.lock();
    lock.lock();
    std::thread first(notify_under_the_lock);
    condition.wait(lock);
    first.join();
    BOOST_TEST(lock.depth() == 3u);
    {
        std::unique_lock inner{lock};
        std::thread second(notify_under_the_lock);
        condition.wait(inner);
        second.join();
        BOOST_TEST(inner.owns_lock());
        BOOST_TEST(lock.depth() == 4u);
    }
    for (int i = 0; i < 3; ++i)
        lock.unlock();
    BOOST_TEST(!lock.owner().has_value());
}

BOOST_AUTO_TEST_CASE(any_basic_lockable_will_do) {
    std::mutex mutex; // between the threads of one process
    mp::Condition condition;
    std::unique_lock hold{mutex};
    std::thread other([&] {
        const std::scoped_lock mine{mutex};
        condition.notify_one();
    });
    condition.wait(hold);
    hold.unlock();
    other.join();
}

BOOST_AUTO_TEST_CASE(who_comes_back_to_a_dead_owners_lock_is_told) {
    mp::Lock lock;
    mp::Condition condition;
    mp::Process child{[&] {
        lock.lock();
        condition.notify_one();
        raise(SIGKILL);
    }};
    std::unique_lock hold{lock};
    child.start();
    BOOST_CHECK_THROW(condition.wait(hold), mp::OwnerDied);
    BOOST_TEST(!hold.owns_lock());
    support::expect_exit(child, -SIGKILL);
    BOOST_TEST(lock.recover());
    hold.lock();
    BOOST_TEST(!condition.wait_for(hold, 1ms));
}

// Fails when the notification goes with the one who cannot use it.
BOOST_AUTO_TEST_CASE(who_is_told_of_a_death_hands_its_notification_on) {
    mp::liveness::tuning().tick_ns = 0;
    mp::Lock dead;
    mp::Lock alive;
    mp::Condition condition;
    mp::Event held;
    mp::Process owner{[&] {
        dead.lock();
        held.set();
        for (;;)
            pause();
    }};
    std::thread first([&] {
        std::unique_lock hold{dead};
        owner.start();
        BOOST_CHECK_THROW(condition.wait(hold), mp::OwnerDied);
    });
    held.wait();
    support::wait_until([&] { return condition.waiters() == 1; });
    std::thread second([&] {
        std::unique_lock hold{alive};
        condition.wait(hold);
    });
    support::wait_until([&] { return condition.waiters() == 2; });
    condition.notify_one();
    owner.kill();
    second.join();
    first.join();
    owner.join();
}

BOOST_AUTO_TEST_CASE(killed_waiters_leave_nothing_behind) {
    mp::liveness::tuning().tick_ns = 0;
    mp::Lock lock;
    mp::Condition condition;
    for (int i = 0; i < 3; ++i) {
        mp::Process child{[&] {
            std::unique_lock hold{lock};
            condition.wait(hold);
        }};
        child.start();
        support::wait_until([&] { return condition.waiters() == 1; });
        { const std::scoped_lock it_has_given_it_up{lock}; } // or it would die as its owner
        child.kill();
        child.join();
        BOOST_TEST(condition.waiters() == 0u);
    }
    Waiters waiters(lock, condition, 1);
    condition.notify_one();
}

BOOST_AUTO_TEST_CASE(the_waiter_too_many_is_told_and_keeps_its_lock) {
    const std::string name = support::unique_name("full");
    mp::Lock lock;
    auto condition = mp::Condition::create(name);
    {
        Waiters waiters(lock, condition, 1);
        // As if all waited: each place has the name of the one.
        const support::Bytes bytes(name);
        auto& cell = bytes.root<mp::core::ConditionCell>();
        for (auto& place : cell.places)
            place.word.store(cell.places[0].word.load());
        cell.used.store(mp::core::max_condition_waiters);
        {
            std::unique_lock hold{lock};
            support::expect_error<mp::TooManyThreads>([&] { condition.wait(hold); },
                                                      {"1024", "several conditions"});
            BOOST_TEST(hold.owns_lock());
        }
        for (std::size_t i = 1; i < mp::core::max_condition_waiters; ++i)
            cell.places[i].word.store(0);
        condition.notify_all();
    }
    BOOST_TEST(condition.waiters() == 0u);
}

// Two who answer each other, as often as it takes to lose a wake-up. Hangs without the lock: the
// other one then notifies between a look and the wait.
BOOST_AUTO_TEST_CASE(no_wake_up_is_lost_between_two_who_answer_each_other) {
    mp::liveness::tuning().tick_ns = 0;
    mp::Lock lock;
    mp::Condition condition;
    bool turn = false;
    const int rounds = support::scaled(5'000);
    const auto play = [&](bool mine) {
        for (int i = 0; i < rounds; ++i) {
            std::unique_lock hold{lock};
            condition.wait(hold, [&] {
                const bool is_mine = turn == mine;
                if (i % 16 == 0)
                    std::this_thread::yield();
                return is_mine;
            });
            turn = !mine;
            condition.notify_one();
        }
    };
    std::thread other([&] { play(true); });
    play(false);
    other.join();
}

BOOST_AUTO_TEST_CASE(named_conditions) {
    const std::string name = support::unique_name("condition");
    auto lock = mp::Lock::create(name + "-l");
    auto made = mp::Condition::create(name);
    mp::Process child{[&] {
        auto mine = mp::Lock::open(name + "-l");
        auto opened = mp::Condition::open(name);
        std::unique_lock hold{mine};
        opened.wait(hold);
    }};
    child.start();
    support::wait_until([&] { return made.waiters() == 1; });
    made.notify_all();
    support::expect_exit(child);
    BOOST_TEST(mp::Condition::remove(name));
    BOOST_CHECK_THROW(mp::Condition::open(name), mp::NotFound);
}

BOOST_AUTO_TEST_SUITE_END()
