#include <multifork/sync/bounded_semaphore.hpp>
#include <multifork/sync/semaphore.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/leftovers.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <csignal>
#include <limits>
#include <thread>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(bounded_semaphore)

BOOST_AUTO_TEST_CASE(a_release_too_many_throws_and_changes_nothing) {
    mp::BoundedSemaphore permits{3};
    BOOST_TEST(permits.limit() == 3);
    support::expect_error<mp::InvalidArgument>([&] { permits.release(); },
                                               {"release(1)", "3 permits", "acquired"});
    permits.acquire();
    BOOST_TEST(permits.try_acquire());
    BOOST_CHECK_THROW(permits.release(3), mp::InvalidArgument);
    BOOST_TEST(permits.value() == 1);
    permits.release(2);
    BOOST_TEST(permits.value() == 3);
    BOOST_TEST(permits.to_string() == "<BoundedSemaphore value=3 of 3>");
}

BOOST_AUTO_TEST_CASE(anybody_may_release_what_another_took) {
    mp::BoundedSemaphore permits{1};
    permits.acquire();
    std::thread([&] { permits.release(); }).join();
    BOOST_TEST(permits.value() == 1);
    BOOST_CHECK_THROW(permits.release(), mp::InvalidArgument);
    BOOST_TEST(permits.try_acquire_for(0s));
    BOOST_TEST(!permits.try_acquire_for(1ms));
    BOOST_TEST(!permits.try_acquire_until(std::chrono::steady_clock::now()));
    permits.release();
}

BOOST_AUTO_TEST_CASE(permits_of_the_killed_come_back_and_cannot_be_released_once_more) {
    mp::BoundedSemaphore permits{2};
    mp::Process child{[&] {
        permits.acquire();
        raise(SIGKILL);
    }};
    child.start();
    support::expect_exit(child, -SIGKILL);
    BOOST_CHECK_THROW(permits.release(), mp::InvalidArgument);
    BOOST_TEST(permits.value() == 2);
}

// Fails when only who holds none drops the entries of the dead.
BOOST_AUTO_TEST_CASE(a_holder_cannot_release_the_permit_of_the_killed_either) {
    mp::BoundedSemaphore permits{2};
    mp::Process child{[&] {
        permits.acquire();
        raise(SIGKILL);
    }};
    child.start();
    support::expect_exit(child, -SIGKILL);
    permits.acquire();
    BOOST_CHECK_THROW(permits.release(2), mp::InvalidArgument);
    permits.release();
    BOOST_TEST(permits.value() == 2);
}

BOOST_AUTO_TEST_CASE(permits_that_ended_in_order_can_be_released_by_others) {
    mp::BoundedSemaphore permits{2};
    support::run_in_child([&] { permits.acquire(); });
    BOOST_TEST(permits.value() == 1);
    permits.release();
    BOOST_TEST(permits.value() == 2);
    BOOST_CHECK_THROW(permits.release(), mp::InvalidArgument);
}

BOOST_AUTO_TEST_CASE(release_wakes_a_sleeper) {
    mp::BoundedSemaphore permits{1};
    permits.acquire();
    mp::Process child{[&] {
        permits.acquire();
        permits.release();
    }};
    child.start();
    support::wait_until_asleep(child.pid().value());
    permits.release();
    support::expect_exit(child);
    BOOST_TEST(permits.value() == 1);
}

BOOST_AUTO_TEST_CASE(absurd_permits_are_refused) {
    BOOST_CHECK_THROW(mp::BoundedSemaphore{-1}, mp::InvalidArgument);
    BOOST_CHECK_THROW(mp::BoundedSemaphore{2'147'483'648}, mp::InvalidArgument);
    mp::BoundedSemaphore none{0};
    BOOST_CHECK_THROW(none.release(), mp::InvalidArgument);
    BOOST_CHECK_THROW(none.release(0), mp::InvalidArgument);
    BOOST_CHECK_THROW(none.release(std::numeric_limits<std::int64_t>::max()), mp::InvalidArgument);
    BOOST_TEST(none.value() == 0);
}

BOOST_AUTO_TEST_CASE(named_and_told_from_a_plain_semaphore) {
    const std::string name = support::unique_name("bounded");
    auto made = mp::BoundedSemaphore::create(name, 2);
    auto opened = mp::BoundedSemaphore::open_or_create(name, 2);
    made.acquire();
    BOOST_TEST(opened.value() == 1);
    opened.release();
    BOOST_CHECK_THROW(mp::BoundedSemaphore::open(name, 3), mp::LayoutMismatch);
    BOOST_CHECK_THROW(mp::Semaphore::open(name, 2), mp::LayoutMismatch);
    BOOST_TEST(mp::BoundedSemaphore::remove(name));
}

BOOST_AUTO_TEST_SUITE_END()
