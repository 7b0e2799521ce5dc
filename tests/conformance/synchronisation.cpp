#include <multifork/error.hpp>
#include <multifork/process/process.hpp>
#include <multifork/sync/lock.hpp>
#include <multifork/sync/semaphore.hpp>

#include "support/children.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <mutex>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(synchronisation)

// Owner only, unlike Python's Lock: a release by another process is NotOwner.
BOOST_AUTO_TEST_CASE(S_001_lock) {
    mp::Lock lock;
    lock.lock();
    BOOST_TEST(!lock.try_lock());
    support::run_in_child([&] {
        support::demand(!lock.try_lock());
        try {
            lock.unlock();
            support::demand(false);
        } catch (const mp::NotOwner&) {
        }
    });
    lock.unlock();
    BOOST_CHECK_THROW(lock.unlock(), mp::NotOwner);
}

BOOST_AUTO_TEST_CASE(S_003_lock_as_a_scope_guard) {
    mp::Lock lock;
    {
        const std::scoped_lock hold{lock};
        support::run_in_child([&] { support::demand(!lock.try_lock()); });
    }
    support::run_in_child([&] {
        support::demand(lock.try_lock());
        lock.unlock();
    });
}

BOOST_AUTO_TEST_CASE(S_004_semaphore) {
    mp::Semaphore permits{2};
    BOOST_TEST(permits.value() == 2);
    permits.acquire();
    BOOST_TEST(permits.value() == 1);
    permits.acquire();
    BOOST_TEST(permits.value() == 0);
    BOOST_TEST(!permits.try_acquire());
    BOOST_TEST(permits.value() == 0);
    for (int value = 1; value <= 4; ++value) {
        permits.release();
        BOOST_TEST(permits.value() == value);
    }
}

// There is no form with both "do not block" and a timeout.
BOOST_AUTO_TEST_CASE(S_006_semaphore_timeout) {
    mp::Semaphore permits{0};
    BOOST_TEST(!permits.try_acquire());
    BOOST_TEST(!permits.try_acquire_for(0s));
    const auto begin = std::chrono::steady_clock::now();
    BOOST_TEST(!permits.try_acquire_for(100ms));
    BOOST_TEST((std::chrono::steady_clock::now() - begin >= 100ms));
}

BOOST_AUTO_TEST_SUITE_END()
