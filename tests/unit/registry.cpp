#include <multifork/error.hpp>
#include <multifork/sync/lock.hpp>

#include "liveness/registry.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/small_space.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <latch>
#include <set>
#include <thread>
#include <vector>

namespace mp = multifork;
namespace liveness = multifork::liveness;
namespace support = multifork::test;

BOOST_AUTO_TEST_SUITE(registry)

BOOST_AUTO_TEST_CASE(a_thread_keeps_its_name_until_it_leaves) {
    support::SmallSpace small(1 << 16);
    const auto first = liveness::enter(small.domain());
    BOOST_TEST(first == liveness::enter(small.domain()));
    BOOST_TEST(liveness::is_alive(small.domain(), first));
    BOOST_TEST(liveness::pid_of(small.domain(), first) == static_cast<std::uint32_t>(getpid()));
    liveness::detach(small.domain());
    BOOST_TEST(!liveness::is_alive(small.domain(), first));
    BOOST_TEST(liveness::pid_of(small.domain(), first) == 0U);
    const auto second = liveness::enter(small.domain());
    BOOST_TEST(second != first);
    BOOST_TEST(!liveness::is_alive(small.domain(), first)); // dead is final
}

BOOST_AUTO_TEST_CASE(garbage_is_nobodys_name) {
    support::SmallSpace small(1 << 16, 8);
    for (const liveness::ThreadWord garbage :
         {liveness::nobody, liveness::poisoned, ~liveness::ThreadWord{0}, liveness::ThreadWord{9},
          liveness::make_thread_word(liveness::max_slots - 1, 5)})
        BOOST_TEST(!liveness::is_alive(small.domain(), garbage));
}

BOOST_AUTO_TEST_CASE(a_thread_that_ends_without_a_word_is_dead) {
    mp::Lock lock; // in the arena, which outlives the thread
    liveness::ThreadWord name = 0;
    std::thread thread([&] { name = liveness::enter(lock.domain()); });
    thread.join();
    BOOST_TEST(!liveness::is_alive(lock.domain(), name));
}

BOOST_AUTO_TEST_CASE(thousands_of_threads_come_and_go_in_few_slots) {
    mp::Lock lock;
    const int rounds = support::scaled(3'000);
    std::set<liveness::ThreadWord> names;
    for (int i = 0; i < rounds; ++i) {
        std::thread thread([&] {
            const std::scoped_lock hold{lock};
            names.insert(liveness::enter(lock.domain()));
        });
        thread.join();
    }
    BOOST_TEST(names.size() == static_cast<std::size_t>(rounds)); // no name twice
    std::set<std::uint32_t> slots;
    for (const auto name : names)
        slots.insert(liveness::slot_of(name));
    BOOST_TEST(slots.size() <= 4U);
}

BOOST_AUTO_TEST_CASE(a_thousand_threads_at_once_have_names_of_their_own) {
    mp::Lock lock;
    constexpr int many = 1'000;
    std::set<liveness::ThreadWord> names;
    std::atomic<int> here{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < many; ++i)
        threads.emplace_back([&] {
            {
                const std::scoped_lock hold{lock};
                names.insert(liveness::enter(lock.domain()));
            }
            ++here;
            here.notify_all();
            for (int now = here; now < many; now = here)
                here.wait(now);
        });
    for (std::thread& thread : threads)
        thread.join();
    BOOST_TEST(names.size() == static_cast<std::size_t>(many));
}

BOOST_AUTO_TEST_CASE(no_slot_left_is_an_error_and_a_free_one_serves_again) {
    constexpr std::uint32_t slots = 8;
    support::SmallSpace small(1 << 16, slots);
    static_cast<void>(liveness::enter(small.domain()));
    std::latch all_here{slots - 1};
    std::atomic<bool> leave{false};
    std::vector<std::thread> threads;
    for (std::uint32_t i = 1; i < slots; ++i)
        threads.emplace_back([&] {
            static_cast<void>(liveness::enter(small.domain()));
            all_here.count_down();
            leave.wait(false);
            liveness::detach(small.domain());
        });
    all_here.wait();
    std::thread one_too_many([&] {
        support::expect_error<mp::TooManyThreads>(
            [&] { static_cast<void>(liveness::enter(small.domain())); }, {"8", "slots", "end"});
    });
    one_too_many.join();
    leave = true;
    leave.notify_all();
    for (std::thread& thread : threads)
        thread.join();
    std::thread later([&] {
        BOOST_TEST(liveness::enter(small.domain()) != liveness::nobody);
        liveness::detach(small.domain());
    });
    later.join();
}

// A named segment has 1024 slots; unlike the test above, this one goes through a public type.
BOOST_AUTO_TEST_CASE(more_threads_than_slots_at_a_lock_are_told) {
    support::SmallSpace small(1 << 16, 4);
    auto& space = small.space();
    const std::uint64_t block = space.allocate(sizeof(mp::Lock::Block), mp::arena::Kind::lock);
    auto& cell = reinterpret_cast<mp::Lock::Block*>(space.at(block))->cell;
    std::latch all_here{3};
    std::atomic<bool> leave{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i)
        threads.emplace_back([&] {
            const auto me = liveness::enter(small.domain());
            static_cast<void>(mp::core::lock(cell, small.domain(), me,
                                             mp::platform::Deadline::never(),
                                             mp::core::OnDeath::refuse));
            mp::core::unlock(cell);
            all_here.count_down();
            leave.wait(false);
            liveness::detach(small.domain());
        });
    all_here.wait();
    std::thread([&] {
        BOOST_CHECK_THROW(static_cast<void>(liveness::enter(small.domain())), mp::TooManyThreads);
    }).join();
    leave = true;
    leave.notify_all();
    for (std::thread& thread : threads)
        thread.join();
    space.free(block);
}

BOOST_AUTO_TEST_CASE(detach_and_attach_again_by_one_thread) {
    mp::Lock lock;
    lock.lock();
    lock.unlock();
    for (int i = 0; i < 1'000; ++i) {
        liveness::detach_this_thread();
        lock.lock();
        lock.unlock();
    }
    BOOST_TEST(!lock.owner().has_value());
}

BOOST_AUTO_TEST_CASE(a_lock_held_over_a_detach_is_a_dead_owners) {
    mp::Lock lock;
    lock.lock();
    liveness::detach_this_thread();
    BOOST_CHECK_THROW(lock.lock(), mp::OwnerDied);
    BOOST_TEST(lock.recover());
}

BOOST_AUTO_TEST_SUITE_END()
