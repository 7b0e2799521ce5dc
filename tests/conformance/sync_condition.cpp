#include <multifork/multifork.hpp>

#include "start_methods.hpp"
#include "support/children.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <mutex>
#include <thread>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

// How CPython's Condition behaves. There the condition has the lock; here each wait names it.
BOOST_AUTO_TEST_SUITE(conditions)

MULTIFORK_EACH_START_METHOD(S_007_notify) {
    mp::RLock lock;
    mp::Condition condition;
    mp::Semaphore sleeping{0};
    mp::Semaphore woken{0};
    const auto sleeper = [](mp::RLock mutex, mp::Condition notified, mp::Semaphore asleep,
                            mp::Semaphore awake) {
        std::unique_lock hold{mutex};
        asleep.release();
        notified.wait(hold);
        awake.release();
    };
    mp::Process process = context.process(sleeper, lock, condition, sleeping, woken);
    process.start();
    std::thread thread(sleeper, lock, condition, sleeping, woken);
    sleeping.acquire();
    sleeping.acquire();
    support::wait_until([&] { return condition.waiters() == 2; });
    std::this_thread::sleep_for(100ms);
    BOOST_TEST(woken.value() == 0);
    for (int count = 1; count <= 2; ++count) {
        {
            const std::scoped_lock hold{lock};
            condition.notify_one();
        }
        support::wait_until([&] { return woken.value() >= count; });
        BOOST_TEST(woken.value() == count);
        BOOST_TEST(condition.waiters() == 2u - static_cast<unsigned>(count));
    }
    thread.join();
    support::expect_exit(process);
    // Nothing is left over.
    const std::scoped_lock hold{lock};
    BOOST_TEST(!condition.wait_for(lock, 0s));
    BOOST_TEST(condition.waiters() == 0u);
}

BOOST_AUTO_TEST_CASE(S_010_timeout) {
    mp::Lock lock;
    mp::Condition condition;
    std::unique_lock hold{lock};
    const auto begin = std::chrono::steady_clock::now();
    BOOST_TEST(!condition.wait_for(hold, 100ms));
    BOOST_TEST((std::chrono::steady_clock::now() - begin >= 100ms));
    BOOST_TEST(hold.owns_lock());
    BOOST_TEST(!lock.try_lock());
}

MULTIFORK_EACH_START_METHOD(S_011_wait_for_a_predicate) {
    mp::RLock lock;
    mp::Condition condition;
    mp::Value<int> state{-1};
    mp::Process child = context.process(
        [](mp::RLock mutex, mp::Condition changed, mp::Value<int> number) {
            std::unique_lock hold{mutex};
            number.value() = 0;
            changed.notify_one();
            support::demand(changed.wait_for(hold, 1h, [&] { return number.value() == 4; }));
        },
        lock, condition, state);
    std::unique_lock hold{lock};
    child.start();
    BOOST_TEST(condition.wait_for(hold, 1h, [&] { return state.value() == 0; }));
    hold.unlock();
    for (int i = 0; i < 4; ++i) {
        std::this_thread::sleep_for(10ms);
        const std::scoped_lock mine{lock};
        state.value() += 1;
        condition.notify_one();
    }
    support::expect_exit(child);
}

BOOST_AUTO_TEST_SUITE_END()
