#include <multifork/arena/object.hpp>
#include <multifork/arena/space.hpp>
#include <multifork/channel/queue.hpp>
#include <multifork/core/ring.hpp>
#include <multifork/liveness/tuning.hpp>
#include <multifork/sync/lock.hpp>
#include <multifork/sync/semaphore.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

// Every way of waiting, with futex_waitv and as on a kernel that has none.

namespace {

/// Sets how this process waits, for the time of a test; there is no backstop unless asked for.
class Tuned {
public:
    explicit Tuned(bool use_waitv, std::int64_t tick_ns = 0) {
        auto& tuning = mp::liveness::tuning();
        tuning.use_waitv = use_waitv;
        tuning.tick_ns = tick_ns;
        tuning.spins = 0; // sleep at once
        tuning.yields = 0;
    }
    ~Tuned() {
        auto& tuning = mp::liveness::tuning();
        tuning.use_waitv = waitv_;
        tuning.tick_ns = tick_;
        tuning.spins = spins_;
        tuning.yields = yields_;
    }
    Tuned(const Tuned&) = delete;
    Tuned& operator=(const Tuned&) = delete;

private:
    bool waitv_ = mp::liveness::tuning().use_waitv;
    std::int64_t tick_ = mp::liveness::tuning().tick_ns;
    std::uint32_t spins_ = mp::liveness::tuning().spins;
    std::uint32_t yields_ = mp::liveness::tuning().yields;
};

const auto both_ways = boost::unit_test::data::make({true, false});

} // namespace

BOOST_AUTO_TEST_SUITE(sleeping)

BOOST_DATA_TEST_CASE(lockers_are_woken_one_after_the_other, both_ways, use_waitv) {
    const Tuned tuned(use_waitv);
    mp::Lock lock;
    const int rounds = support::scaled(500);
    long counter = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < rounds; ++i) {
                const std::scoped_lock hold{lock};
                const long seen = counter;
                std::this_thread::yield();
                counter = seen + 1;
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    BOOST_TEST(counter == 4L * rounds);
}

BOOST_DATA_TEST_CASE(queue_sides_wake_each_other, both_ways, use_waitv) {
    const Tuned tuned(use_waitv);
    mp::Queue<int> there{1};
    mp::Queue<int> back{1};
    const int rounds = support::scaled(500);
    std::thread echo([&] {
        for (const int i : there)
            back.put(i);
    });
    for (int i = 0; i < rounds; ++i) {
        there.put(i);
        BOOST_REQUIRE(back.get() == i);
    }
    there.close();
    echo.join();
}

BOOST_DATA_TEST_CASE(permits_wake_sleepers, both_ways, use_waitv) {
    const Tuned tuned(use_waitv);
    mp::Semaphore ping{0};
    mp::Semaphore pong{0};
    const int rounds = support::scaled(300);
    std::thread other([&] {
        for (int i = 0; i < rounds; ++i) {
            ping.acquire();
            pong.release();
        }
    });
    for (int i = 0; i < rounds; ++i) {
        ping.release();
        pong.acquire();
    }
    other.join();
    BOOST_TEST(ping.value() == 0);
}

BOOST_DATA_TEST_CASE(timeouts_are_kept, both_ways, use_waitv) {
    const Tuned tuned(use_waitv);
    mp::Queue<int> queue{1};
    mp::Semaphore permits{0};
    mp::Lock lock;
    lock.lock();
    const auto lasts = [](auto wait) {
        const auto begin = std::chrono::steady_clock::now();
        BOOST_TEST(!wait());
        BOOST_TEST((std::chrono::steady_clock::now() - begin >= 25ms));
    };
    lasts([&] { return queue.try_get_for(25ms).has_value(); });
    lasts([&] { return permits.try_acquire_for(25ms); });
    lasts([&] { return lock.try_lock_for(25ms); });
    lock.unlock();
}

BOOST_DATA_TEST_CASE(a_sleeper_hears_of_a_thread_that_ended_with_the_lock, both_ways, use_waitv) {
    const Tuned tuned(use_waitv);
    mp::Lock lock;
    std::atomic<bool> held{false};
    std::atomic<pid_t> sleeper{0};
    std::thread owner([&] {
        lock.lock();
        held = true;
        support::wait_until([&] { return sleeper != 0; });
        support::wait_until_asleep(sleeper);
    });
    support::wait_until([&] { return held.load(); });
    std::atomic<int> told{0};
    std::thread waiter([&] {
        sleeper = gettid();
        try {
            lock.lock();
        } catch (const mp::OwnerDied&) {
            ++told;
        }
    });
    owner.join();
    waiter.join();
    BOOST_TEST(told == 1);
}

BOOST_DATA_TEST_CASE(close_wakes_sleepers_on_both_sides, both_ways, use_waitv) {
    const Tuned tuned(use_waitv);
    mp::Queue<int> empty{1};
    mp::Queue<int> full{1};
    full.put(1);
    std::atomic<int> told{0};
    std::atomic<pid_t> getter{0};
    std::atomic<pid_t> putter{0};
    std::thread one([&] {
        getter = gettid();
        told += support::throws<mp::QueueClosed>([&] { static_cast<void>(empty.get()); });
    });
    std::thread two([&] {
        putter = gettid();
        told += support::throws<mp::QueueClosed>([&] { full.put(2); });
    });
    support::wait_until([&] { return getter != 0 && putter != 0; });
    support::wait_until_asleep(getter);
    support::wait_until_asleep(putter);
    empty.close();
    full.close();
    one.join();
    two.join();
    BOOST_TEST(told == 2);
}

BOOST_DATA_TEST_CASE(a_short_tick_changes_nothing, both_ways, use_waitv) {
    const Tuned tuned(use_waitv, 1'000'000);
    mp::Queue<int> queue{1};
    std::thread producer([&] {
        std::this_thread::sleep_for(20ms);
        queue.put(7);
    });
    BOOST_TEST(queue.get() == 7);
    producer.join();
    BOOST_TEST(!queue.try_get_for(10ms).has_value());
}

// A put wakes one sleeper and clears the flag for all. Until that one runs, the flag says that
// nobody sleeps.
BOOST_DATA_TEST_CASE(closing_a_ring_wakes_sleepers_behind_one_that_was_woken, both_ways,
                     use_waitv) {
    namespace core = mp::core;
    const Tuned tuned(use_waitv);
    mp::liveness::tuning().fallback_tick_ns = 3'600'000'000'000;
    const core::RingShape shape{1, 8};
    const auto bytes =
        mp::arena::Object::make(shape.bytes(), mp::arena::Kind::ring, [](std::byte*) {});
    auto& ring = *reinterpret_cast<core::RingHeader*>(bytes.data());
    auto& domain = bytes.space().domain();
    const auto put = [&](auto deadline) {
        return core::ring_put(ring, shape, domain, deadline, [](std::byte*) {});
    };
    const auto get = [&](auto deadline) {
        return core::ring_get(
            ring, shape, domain, deadline, [](const std::byte*) {}, [](std::byte*) {});
    };
    const auto never = mp::platform::Deadline::never();

    for (const bool getting : {true, false}) {
        if (!getting)
            BOOST_TEST_REQUIRE((put(never) == core::RingResult::done)); // and is full
        std::atomic<pid_t> sleeper{0};
        core::RingResult result{};
        std::thread thread([&] {
            sleeper = gettid();
            result = getting ? get(never) : put(never);
        });
        support::wait_until([&] { return sleeper != 0; });
        support::wait_until_asleep(sleeper);
        (getting ? ring.not_empty : ring.not_full) = 0; // as after a put that woke another
        core::ring_close(ring, domain);
        thread.join();
        BOOST_TEST((result == core::RingResult::closed));
        ring.tail = ring.tail & ~core::ring_closed_bit; // open once more
    }
    mp::liveness::tuning().fallback_tick_ns = mp::liveness::Tuning{}.fallback_tick_ns.load();
}

BOOST_AUTO_TEST_SUITE_END()
