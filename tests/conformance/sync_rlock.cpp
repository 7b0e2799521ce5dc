#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

namespace mp = multifork;
namespace support = multifork::test;

// How CPython's RLock and BoundedSemaphore behave.
BOOST_AUTO_TEST_SUITE(rlocks_and_bounded_semaphores)

BOOST_AUTO_TEST_CASE(S_002_rlock) {
    mp::RLock lock;
    for (int i = 0; i < 3; ++i)
        BOOST_TEST(lock.try_lock());
    for (int i = 0; i < 3; ++i)
        lock.unlock();
    support::expect_error<mp::NotOwner>([&] { lock.unlock(); }, {"unlock()", "does not hold"});
}

BOOST_AUTO_TEST_CASE(S_005_bounded_semaphore) {
    mp::BoundedSemaphore permits{2};
    BOOST_TEST(permits.value() == 2);
    permits.acquire();
    BOOST_TEST(permits.value() == 1);
    permits.acquire();
    BOOST_TEST(permits.value() == 0);
    BOOST_TEST(!permits.try_acquire());
    BOOST_TEST(permits.value() == 0);
    permits.release();
    BOOST_TEST(permits.value() == 1);
    permits.release();
    BOOST_TEST(permits.value() == 2);
    support::expect_error<mp::InvalidArgument>([&] { permits.release(); }, {"release(1)", "2"});
    BOOST_TEST(permits.value() == 2);
}

// Without a Manager: the objects themselves cross into the child.
BOOST_AUTO_TEST_CASE(M_018_rlock_of_a_child) {
    mp::RLock recursive;
    mp::Lock plain;
    support::run_in_child([&] {
        recursive.lock();
        recursive.lock();
        recursive.unlock();
        recursive.unlock();
        plain.lock();
        plain.unlock();
    });
    BOOST_TEST(recursive.try_lock());
    recursive.unlock();
}

BOOST_AUTO_TEST_CASE(M_020_bounded_semaphore_released_by_the_parent) {
    mp::BoundedSemaphore permits{1};
    support::run_in_child([&] { permits.acquire(); });
    permits.release();
    BOOST_CHECK_THROW(permits.release(), mp::InvalidArgument);
    BOOST_TEST(permits.value() == 1);
}

BOOST_AUTO_TEST_SUITE_END()
