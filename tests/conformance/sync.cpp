#include <multifork/multifork.hpp>

#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <mutex>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

// How CPython's locks and semaphores behave, and where ours are stricter. The numbers are the rows
// of the list of behaviours that these cases were written from.
BOOST_AUTO_TEST_SUITE(locks_and_semaphores)

// Stricter: only the thread that locked may unlock.
BOOST_AUTO_TEST_CASE(S_001_lock_try_lock_unlock) {
    mp::Lock lock;
    lock.lock();
    BOOST_TEST(!lock.try_lock());
    lock.unlock();
    support::expect_error<mp::NotOwner>([&] { lock.unlock(); }, {"unlock()", "does not hold"});
    BOOST_TEST(lock.try_lock());
    lock.unlock();
}

BOOST_AUTO_TEST_CASE(S_003_lock_as_a_scope_guard) {
    mp::Lock lock;
    {
        const std::scoped_lock hold{lock};
        BOOST_TEST(lock.owner().has_value());
    }
    BOOST_TEST(!lock.owner().has_value());
    support::expect_error<mp::NotOwner>([&] { lock.unlock(); }, {"unlock()"});
}

BOOST_AUTO_TEST_CASE(S_004_semaphore_counts_and_may_pass_its_initial_value) {
    mp::Semaphore permits{2};
    BOOST_TEST(permits.value() == 2);
    permits.acquire();
    BOOST_TEST(permits.value() == 1);
    permits.acquire();
    BOOST_TEST(permits.value() == 0);
    BOOST_TEST(!permits.try_acquire());
    BOOST_TEST(permits.value() == 0);
    for (int free = 1; free <= 4; ++free) {
        permits.release();
        BOOST_TEST(permits.value() == free);
    }
}

// A form that polls and takes a timeout as well does not exist here: try_acquire() is the one,
// try_acquire_for() the other.
BOOST_AUTO_TEST_CASE(S_006_semaphore_timeout) {
    mp::Semaphore none{0};
    BOOST_TEST(!none.try_acquire());
    BOOST_TEST(!none.try_acquire_for(0s));
    BOOST_TEST(!none.try_acquire_for(-100ms));
    const auto begin = std::chrono::steady_clock::now();
    BOOST_TEST(!none.try_acquire_for(100ms));
    BOOST_TEST((std::chrono::steady_clock::now() - begin >= 100ms));
}

BOOST_AUTO_TEST_SUITE_END()
