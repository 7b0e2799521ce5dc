#include <multifork/sync/lock.hpp>

#include "support/children.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

// A thread that ends while it holds a lock is as dead an owner as a killed process; tests/process
// has the same with processes.

namespace {

void die_holding(mp::Lock& lock) {
    std::thread owner([&] { lock.lock(); });
    owner.join();
}

} // namespace

BOOST_AUTO_TEST_SUITE(lock_owner_death)

BOOST_AUTO_TEST_CASE(every_form_of_locking_throws_until_somebody_recovers) {
    mp::Lock lock;
    die_holding(lock);
    for (int i = 0; i < 3; ++i) {
        BOOST_CHECK_THROW(lock.lock(), mp::OwnerDied);
        BOOST_CHECK_THROW(static_cast<void>(lock.try_lock()), mp::OwnerDied);
        BOOST_CHECK_THROW(static_cast<void>(lock.try_lock_for(1s)), mp::OwnerDied);
        BOOST_CHECK_THROW(static_cast<void>(lock.try_lock_until(std::chrono::steady_clock::now())),
                          mp::OwnerDied);
    }
    BOOST_TEST(lock.recover());
    lock.lock();
    lock.unlock();
    BOOST_TEST(lock.recoveries() == 1U);
}

// Fails when a locker that has read the owner's name, and finds the owner gone, does not look at
// the lock again: the owner may have unlocked before it ended.
BOOST_AUTO_TEST_CASE(an_owner_that_unlocks_and_ends_is_never_taken_for_dead) {
    mp::Lock lock;
    std::atomic<bool> stop{false};
    std::vector<std::thread> starters;
    for (int i = 0; i < 2; ++i)
        starters.emplace_back([&] {
            while (!stop)
                std::thread([&] {
                    lock.lock();
                    lock.unlock();
                }).join();
        });
    int told = 0;
    for (int i = 0; i < support::scaled(200'000); ++i) {
        try {
            if (lock.try_lock())
                lock.unlock();
        } catch (const mp::OwnerDied&) {
            ++told;
        }
        if (const auto owner = lock.owner(); owner && !owner->alive)
            ++told;
    }
    stop = true;
    for (std::thread& starter : starters)
        starter.join();
    BOOST_TEST(told == 0);
}

BOOST_AUTO_TEST_CASE(owner_is_shown_as_dead) {
    mp::Lock lock;
    die_holding(lock);
    BOOST_REQUIRE(lock.owner().has_value());
    BOOST_TEST(!lock.owner()->alive);
    BOOST_TEST(lock.to_string() == "<Lock owner died>");
}

BOOST_AUTO_TEST_CASE(unlock_of_a_dead_owners_lock_throws) {
    mp::Lock lock;
    die_holding(lock);
    BOOST_CHECK_THROW(lock.unlock(), mp::NotOwner);
}

BOOST_AUTO_TEST_CASE(recover_runs_its_repair_once_with_the_lock_held) {
    mp::Lock lock;
    die_holding(lock);
    int runs = 0;
    BOOST_TEST(lock.recover([&] {
        ++runs;
        BOOST_TEST(lock.owner()->alive);
        std::thread other([&] { BOOST_TEST(!lock.try_lock()); });
        other.join();
    }));
    BOOST_TEST(!lock.recover([&] { ++runs; }));
    BOOST_TEST(runs == 1);
    BOOST_TEST(!lock.owner().has_value());
}

BOOST_AUTO_TEST_CASE(recover_of_a_free_or_held_lock_does_nothing) {
    mp::Lock lock;
    BOOST_TEST(!lock.recover([] { BOOST_ERROR("must not run"); }));
    lock.lock();
    BOOST_TEST(!lock.recover([] { BOOST_ERROR("must not run"); }));
    lock.unlock();
    BOOST_TEST(lock.recoveries() == 0U);
}

BOOST_AUTO_TEST_CASE(a_repair_that_throws_leaves_the_lock_dead) {
    mp::Lock lock;
    die_holding(lock);
    BOOST_CHECK_THROW(lock.recover([] { throw std::runtime_error("cannot"); }), std::runtime_error);
    BOOST_CHECK_THROW(lock.lock(), mp::OwnerDied);
    BOOST_TEST(lock.recoveries() == 0U);
    BOOST_TEST(lock.recover());
    lock.lock();
    lock.unlock();
}

BOOST_AUTO_TEST_CASE(a_lock_with_a_repair_function_mends_itself) {
    int repairs = 0;
    mp::Lock lock{[&] { ++repairs; }};
    die_holding(lock);
    lock.lock();
    BOOST_TEST(repairs == 1);
    lock.unlock();
    die_holding(lock);
    BOOST_TEST(lock.try_lock());
    BOOST_TEST(repairs == 2);
    lock.unlock();
    BOOST_TEST(lock.recoveries() == 2U);
}

BOOST_AUTO_TEST_CASE(a_repair_function_that_throws_is_tried_again_by_the_next_locker) {
    int tries = 0;
    mp::Lock lock{[&] {
        if (++tries < 3)
            throw std::runtime_error("not yet");
    }};
    die_holding(lock);
    BOOST_CHECK_THROW(lock.lock(), std::runtime_error);
    BOOST_CHECK_THROW(static_cast<void>(lock.try_lock_for(1s)), std::runtime_error);
    lock.lock();
    BOOST_TEST(tries == 3);
    BOOST_TEST(lock.recoveries() == 1U);
    lock.unlock();
}

BOOST_AUTO_TEST_CASE(resume_goes_on_silently_but_counts) {
    mp::Lock lock{mp::on_owner_death::resume};
    for (std::uint64_t deaths = 1; deaths <= 3; ++deaths) {
        die_holding(lock);
        lock.lock();
        lock.unlock();
        BOOST_TEST(lock.recoveries() == deaths);
    }
}

BOOST_AUTO_TEST_CASE(a_sleeper_learns_of_the_death) {
    mp::Lock lock;
    std::atomic<bool> held{false};
    std::atomic<bool> asleep{false};
    std::thread owner([&] {
        lock.lock();
        held = true;
        while (!asleep)
            std::this_thread::yield();
        std::this_thread::sleep_for(20ms); // most of the time the sleeper sleeps by now
    });
    while (!held)
        std::this_thread::yield();
    asleep = true;
    BOOST_CHECK_THROW(lock.lock(), mp::OwnerDied);
    owner.join();
}

BOOST_AUTO_TEST_SUITE_END()
