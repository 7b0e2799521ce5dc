#include <multifork/sync/event.hpp>
#include <multifork/sync/rlock.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/leftovers.hpp"
#include "support/race.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

void die_holding(mp::RLock& lock, int times) {
    std::thread owner([&] {
        for (int i = 0; i < times; ++i)
            lock.lock();
    });
    owner.join();
}

bool others_can_lock(mp::RLock& lock) {
    bool got = false;
    std::thread([&] {
        got = lock.try_lock();
        if (got)
            lock.unlock();
    }).join();
    return got;
}

} // namespace

BOOST_AUTO_TEST_SUITE(rlock)

BOOST_AUTO_TEST_CASE(it_is_free_when_unlocked_as_often_as_locked) {
    mp::RLock lock;
    BOOST_TEST(lock.depth() == 0u);
    lock.lock();
    BOOST_TEST(lock.try_lock());
    BOOST_TEST(lock.try_lock_for(0s));
    BOOST_TEST(lock.try_lock_until(std::chrono::steady_clock::now() - 1h));
    BOOST_TEST(lock.depth() == 4u);
    for (int i = 0; i < 4; ++i) {
        BOOST_TEST(!others_can_lock(lock));
        lock.unlock();
    }
    BOOST_TEST(others_can_lock(lock));
    BOOST_CHECK_THROW(lock.unlock(), mp::NotOwner);
    BOOST_TEST(lock.depth() == 0u);
}

BOOST_AUTO_TEST_CASE(unlock_by_another_thread_changes_nothing) {
    mp::RLock lock;
    lock.lock();
    std::thread([&] {
        BOOST_TEST(lock.depth() == 0u);
        support::expect_error<mp::NotOwner>([&] { lock.unlock(); },
                                            {"recursive", "held by", "only the thread"});
    }).join();
    BOOST_TEST(lock.depth() == 1u);
    lock.unlock();
}

BOOST_AUTO_TEST_CASE(guards_of_the_standard_library_nest) {
    mp::RLock lock;
    {
        const std::scoped_lock outer{lock};
        std::unique_lock inner{lock, 1s};
        BOOST_TEST(inner.owns_lock());
        BOOST_TEST(lock.depth() == 2u);
    }
    BOOST_TEST(!lock.owner().has_value());
}

BOOST_AUTO_TEST_CASE(others_wait_for_the_last_unlock_and_time_out_before) {
    mp::RLock lock;
    lock.lock();
    lock.lock();
    mp::Event tried;
    mp::Process child{[&] {
        support::demand(!lock.try_lock_for(20ms));
        tried.set();
        lock.lock();
        lock.unlock();
    }};
    child.start();
    tried.wait();
    support::wait_until_asleep(child.pid().value());
    lock.unlock();
    BOOST_TEST(child.is_alive());
    lock.unlock();
    support::expect_exit(child);
}

// Fails when hold_first() does not store the depth: the heir would begin with the dead owner's.
BOOST_AUTO_TEST_CASE(the_depth_of_a_dead_owner_dies_with_it) {
    mp::RLock lock;
    die_holding(lock, 5);
    BOOST_CHECK_THROW(lock.lock(), mp::OwnerDied);
    BOOST_CHECK_THROW(static_cast<void>(lock.try_lock()), mp::OwnerDied);
    BOOST_TEST(lock.depth() == 0u);
    BOOST_TEST(lock.to_string() == "<RLock owner died>");
    BOOST_TEST(lock.recover([&] {
        BOOST_TEST(lock.depth() == 1u);
        const std::scoped_lock further{lock};
        BOOST_TEST(lock.depth() == 2u);
    }));
    BOOST_TEST(!lock.owner().has_value());
    lock.lock();
    BOOST_TEST(lock.depth() == 1u);
    lock.unlock();
    BOOST_TEST(others_can_lock(lock));
    BOOST_TEST(lock.recoveries() == 1u);
}

BOOST_AUTO_TEST_CASE(a_killed_owner_in_another_process) {
    mp::RLock lock;
    mp::Process child{[&] {
        lock.lock();
        lock.lock();
        raise(SIGKILL);
    }};
    child.start();
    support::expect_exit(child, -SIGKILL);
    BOOST_CHECK_THROW(lock.lock(), mp::OwnerDied);
    BOOST_TEST(lock.recover());
    lock.lock();
    lock.unlock();
}

BOOST_AUTO_TEST_CASE(a_repair_function_may_lock_further) {
    int repaired = 0;
    mp::RLock* self = nullptr;
    mp::RLock lock{[&] {
        const std::scoped_lock further{*self};
        BOOST_TEST(self->depth() == 2u);
        ++repaired;
    }};
    self = &lock;
    die_holding(lock, 3);
    lock.lock();
    BOOST_TEST(repaired == 1);
    BOOST_TEST(lock.depth() == 1u);
    lock.unlock();
    BOOST_TEST(others_can_lock(lock));
}

BOOST_AUTO_TEST_CASE(a_failed_repair_leaves_it_dead_and_resume_goes_on) {
    mp::RLock broken{[] { throw std::runtime_error("no"); }};
    die_holding(broken, 1);
    BOOST_CHECK_THROW(broken.lock(), std::runtime_error);
    BOOST_TEST(!broken.owner()->alive);
    mp::RLock resumed{mp::on_owner_death::resume};
    die_holding(resumed, 2);
    resumed.lock();
    BOOST_TEST(resumed.depth() == 1u);
    resumed.unlock();
    BOOST_TEST(resumed.recoveries() == 1u);
}

BOOST_AUTO_TEST_CASE(a_forked_child_inherits_no_ownership) {
    mp::RLock lock;
    lock.lock();
    support::run_in_child([&] {
        support::demand(lock.depth() == 0);
        support::demand(!lock.try_lock());
    });
    lock.unlock();
}

// Fails without the lock.
BOOST_AUTO_TEST_CASE(increments_under_the_lock_come_out_right) {
    mp::RLock lock;
    std::atomic<int> count{0};
    const int rounds = support::scaled(500);
    support::race_in_threads(2, [&] {
        for (int i = 0; i < rounds; ++i) {
            const std::scoped_lock outer{lock};
            const std::scoped_lock inner{lock};
            support::increment_in_two_steps(count);
        }
    });
    BOOST_TEST(count == 2 * rounds);
}

BOOST_AUTO_TEST_CASE(named_and_printed) {
    const std::string name = support::unique_name("rlock");
    auto made = mp::RLock::create(name);
    auto opened = mp::RLock::open_or_create(name);
    made.lock();
    opened.lock();
    BOOST_TEST(made.depth() == 2u);
    BOOST_TEST(made.owner()->pid == getpid());
    opened.unlock();
    made.unlock();
    BOOST_TEST(fmt::format("{}", opened) == "<RLock free>");
    BOOST_CHECK_THROW(mp::Lock::open(name), mp::LayoutMismatch);
    BOOST_TEST(mp::RLock::remove(name));
}

BOOST_AUTO_TEST_SUITE_END()
