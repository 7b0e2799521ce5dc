#include <multifork/sync/semaphore.hpp>

#include "arena/space_impl.hpp"
#include "support/children.hpp"

#include <multifork/arena/object.hpp>
#include <multifork/core/semaphore_cell.hpp>
#include <multifork/liveness/domain.hpp>
#include <multifork/sync/bounded_semaphore.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <thread>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
namespace arena = multifork::arena;
namespace core = multifork::core;
namespace support = multifork::test;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(semaphore)

BOOST_AUTO_TEST_CASE(it_has_one_permit_unless_told_otherwise) {
    BOOST_TEST(mp::Semaphore{}.value() == 1);
    BOOST_TEST(mp::Semaphore{0}.value() == 0);
    BOOST_TEST(mp::Semaphore{2'147'483'647}.value() == 2'147'483'647);
}

BOOST_AUTO_TEST_CASE(permits_go_and_come_back) {
    mp::Semaphore permits{2};
    permits.acquire();
    BOOST_TEST(permits.value() == 1);
    BOOST_TEST(permits.try_acquire());
    BOOST_TEST(!permits.try_acquire());
    BOOST_TEST(permits.value() == 0);
    permits.release();
    permits.release();
    BOOST_TEST(permits.value() == 2);
}

BOOST_AUTO_TEST_CASE(release_of_several_permits_at_once) {
    mp::Semaphore permits{0};
    permits.release(3);
    BOOST_TEST(permits.value() == 3);
    for (int i = 0; i < 3; ++i)
        BOOST_TEST(permits.try_acquire());
    BOOST_TEST(!permits.try_acquire());
}

BOOST_AUTO_TEST_CASE(release_by_who_holds_none_adds_a_permit) {
    mp::Semaphore permits{1};
    permits.release();
    BOOST_TEST(permits.value() == 2);
}

BOOST_AUTO_TEST_CASE(release_gives_back_what_another_thread_took) {
    mp::Semaphore permits{1};
    permits.acquire();
    std::thread other([&] { permits.release(); });
    other.join();
    BOOST_TEST(permits.value() == 1);
    permits.acquire();
    BOOST_TEST(permits.value() == 0);
}

BOOST_AUTO_TEST_CASE(timed_forms_with_zero_negative_and_huge_durations) {
    mp::Semaphore permits{1};
    BOOST_TEST(permits.try_acquire_for(0s));
    BOOST_TEST(!permits.try_acquire_for(0s));
    BOOST_TEST(!permits.try_acquire_for(-1s));
    BOOST_TEST(!permits.try_acquire_for(std::chrono::hours::min()));
    BOOST_TEST(!permits.try_acquire_until(std::chrono::steady_clock::now() - 1h));
    permits.release();
    BOOST_TEST(permits.try_acquire_for(std::chrono::hours::max()));
    std::thread later([&] {
        std::this_thread::sleep_for(10ms);
        permits.release();
    });
    BOOST_TEST(permits.try_acquire_for(std::chrono::hours::max()));
    later.join();
}

BOOST_AUTO_TEST_CASE(a_timed_wait_lasts_its_time) {
    mp::Semaphore permits{0};
    const auto begin = std::chrono::steady_clock::now();
    BOOST_TEST(!permits.try_acquire_for(30ms));
    BOOST_TEST((std::chrono::steady_clock::now() - begin >= 30ms));
}

BOOST_AUTO_TEST_CASE(release_wakes_as_many_as_it_gives) {
    mp::Semaphore permits{0};
    std::atomic<int> through{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 6; ++i)
        threads.emplace_back([&] {
            permits.acquire();
            ++through;
        });
    permits.release(2);
    support::wait_until([&] { return through == 2; });
    std::this_thread::sleep_for(10ms); // were a third to pass, it would have had the time
    BOOST_TEST(through == 2);
    permits.release(4);
    for (std::thread& thread : threads)
        thread.join();
    BOOST_TEST(through == 6);
}

// Fails when acquire() does nothing.
BOOST_AUTO_TEST_CASE(never_more_inside_than_permits) {
    mp::Semaphore permits{3};
    std::atomic<int> inside{0};
    std::atomic<int> most{0};
    std::vector<std::thread> threads;
    const int rounds = support::scaled(2'000);
    for (int t = 0; t < 6; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < rounds; ++i) {
                permits.acquire();
                const int now = ++inside;
                int before = most;
                while (now > before && !most.compare_exchange_weak(before, now)) {
                }
                std::this_thread::yield();
                --inside;
                permits.release();
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    BOOST_TEST(most <= 3);
    BOOST_TEST(permits.value() == 3);
}

BOOST_AUTO_TEST_CASE(permits_of_a_thread_that_ended_in_order_stay_taken) {
    mp::Semaphore permits{3};
    std::thread taker([&] {
        permits.acquire();
        permits.acquire();
    });
    taker.join();
    BOOST_TEST(permits.value() == 1);
    permits.acquire();
    BOOST_TEST(!permits.try_acquire());
    permits.release();
    permits.release();
    permits.release();
    BOOST_TEST(permits.value() == 3);
}

namespace {

/// A semaphore in which the test's thread is as if it were stopped there, while another one that
/// holds its permit ends.
struct Occupied {
    arena::Object object =
        arena::Object::make(core::semaphore_bytes(1), arena::Kind::semaphore, [](std::byte* bytes) {
            core::init_semaphore(*reinterpret_cast<core::SemaphoreCell*>(bytes), 1);
        });
    core::SemaphoreCell& cell = *reinterpret_cast<core::SemaphoreCell*>(object.data());
    mp::liveness::Domain& domain = arena::tree_space().domain();
    std::thread user;

    Occupied() {
        std::atomic<int> tid{0};
        std::atomic<bool> go{false};
        user = std::thread([&] {
            if (core::semaphore_acquire(cell, domain, mp::platform::Deadline::never()))
                tid = ::gettid();
            while (!go) { // not asleep: it sleeps when it waits for who is inside
            }
        });
        support::wait_until([&] { return tid != 0; });
        const int user_tid = tid;
        static_cast<void>(core::lock(cell.lock, domain, mp::liveness::enter(domain),
                                     mp::platform::Deadline::never(), core::OnDeath::inherit));
        go = true;
        support::wait_until_asleep(user_tid);
    }
};

} // namespace

// Without the heap's lock nothing could be made or dropped, and nobody could fork.
BOOST_AUTO_TEST_CASE(the_end_of_a_thread_waits_for_who_is_inside_without_the_heap) {
    Occupied semaphore;
    arena::Object::make(100, arena::Kind::value, [](std::byte*) {}) = {};
    core::unlock(semaphore.cell.lock);
    semaphore.user.join();
    BOOST_TEST(core::semaphore_value(semaphore.cell, semaphore.domain) == 0);
    BOOST_TEST(semaphore.cell.total.load() == 0); // taken for good
}

// A thread that has used up a permit stands in the ledger of a semaphore that others may drop.
// While it waits to settle that, the memory may become something else.
BOOST_AUTO_TEST_CASE(a_semaphore_that_is_gone_is_not_settled) {
    Occupied semaphore;
    const std::uint64_t place = semaphore.object.offset();
    semaphore.object = {};
    const std::size_t bytes = core::semaphore_bytes(1);
    const auto other = arena::Object::make(bytes, arena::Kind::value,
                                           [&](std::byte* at) { std::memset(at, 0xAB, bytes); });
    BOOST_TEST(other.offset() == place);
    semaphore.user.join();
    BOOST_TEST(std::all_of(other.data(), other.data() + bytes,
                           [](std::byte b) { return b == std::byte{0xAB}; }));
}

BOOST_AUTO_TEST_CASE(a_permit_lasts_as_long_as_its_scope) {
    const mp::Semaphore semaphore{1};
    try {
        const mp::Permit hold{semaphore};
        BOOST_TEST(!semaphore.try_acquire());
        throw std::runtime_error("in the middle");
    } catch (const std::runtime_error&) {
    }
    BOOST_TEST(semaphore.value() == 1);
    const mp::BoundedSemaphore bounded{1};
    {
        const mp::Permit hold{bounded};
        bounded.release(); // somebody else's mistake: nobody is told twice
    }
    BOOST_TEST(bounded.value() == 1);
}

BOOST_AUTO_TEST_CASE(copies_mean_the_same_semaphore) {
    mp::Semaphore permits{1};
    mp::Semaphore copy = permits;
    permits.acquire();
    BOOST_TEST(!copy.try_acquire());
    copy.release();
    BOOST_TEST(permits.value() == 1);
}

BOOST_AUTO_TEST_CASE(more_holders_than_the_ledger_has_room_for) {
    // Used as a signal: released far beyond its initial value, and taken by many threads at once.
    mp::Semaphore signal{0};
    const int many = 300;
    signal.release(many);
    std::atomic<int> through{0};
    std::atomic<bool> end{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < many; ++i)
        threads.emplace_back([&] {
            signal.acquire();
            ++through;
            while (!end)
                std::this_thread::sleep_for(1ms);
        });
    support::wait_until([&] { return through == many; });
    BOOST_TEST(signal.value() == 0);
    end = true;
    for (std::thread& thread : threads)
        thread.join();
    BOOST_TEST(signal.value() == 0);
}

BOOST_AUTO_TEST_CASE(absurd_permits_are_refused) {
    BOOST_CHECK_THROW(mp::Semaphore{-1}, mp::InvalidArgument);
    BOOST_CHECK_THROW(mp::Semaphore{2'147'483'648}, mp::InvalidArgument);
    BOOST_CHECK_THROW(mp::Semaphore{std::numeric_limits<std::int64_t>::min()}, mp::InvalidArgument);
    mp::Semaphore permits{1};
    BOOST_CHECK_THROW(permits.release(0), mp::InvalidArgument);
    BOOST_CHECK_THROW(permits.release(-1), mp::InvalidArgument);
    BOOST_CHECK_THROW(permits.release(2'147'483'647), mp::InvalidArgument);
    BOOST_CHECK_THROW(permits.release(std::numeric_limits<std::int64_t>::max()),
                      mp::InvalidArgument);
    BOOST_TEST(permits.value() == 1);
}

BOOST_AUTO_TEST_SUITE_END()
