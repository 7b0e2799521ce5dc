#include <multifork/multifork.hpp>

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

BOOST_AUTO_TEST_SUITE_END()
