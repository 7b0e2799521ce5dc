#include <multifork/liveness/tuning.hpp>
#include <multifork/sync/event.hpp>

#include "support/children.hpp"
#include "support/leftovers.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(event)

BOOST_AUTO_TEST_CASE(it_is_unset_until_it_is_set_and_until_it_is_cleared) {
    mp::Event event;
    BOOST_TEST(!event.is_set());
    BOOST_TEST(event.to_string() == "<Event unset>");
    event.set();
    event.set();
    BOOST_TEST(event.is_set());
    BOOST_TEST(fmt::format("{}", event) == "<Event set>");
    event.wait();
    event.clear();
    event.clear();
    BOOST_TEST(!event.is_set());
}

BOOST_AUTO_TEST_CASE(timed_forms_with_zero_negative_and_huge_durations) {
    mp::Event event;
    BOOST_TEST(!event.wait_for(0s));
    BOOST_TEST(!event.wait_for(-1s));
    BOOST_TEST(!event.wait_for(std::chrono::hours::min()));
    BOOST_TEST(!event.wait_until(std::chrono::steady_clock::now() - 1h));
    const auto begin = std::chrono::steady_clock::now();
    BOOST_TEST(!event.wait_for(20ms));
    BOOST_TEST((std::chrono::steady_clock::now() - begin >= 20ms));
    event.set();
    BOOST_TEST(event.wait_for(0s));
    BOOST_TEST(event.wait_for(std::chrono::hours::max()));
    BOOST_TEST(event.wait_until(std::chrono::system_clock::now() - 1h));
}

BOOST_AUTO_TEST_CASE(set_wakes_all_and_copies_mean_the_same_event) {
    mp::liveness::tuning().tick_ns = 0;
    mp::Event event;
    std::atomic<int> through{0};
    std::atomic<int> asleep{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 5; ++i)
        threads.emplace_back([&, copy = event] {
            const pid_t tid = gettid();
            std::thread watch([&, tid] {
                support::wait_until_asleep(tid);
                ++asleep;
            });
            copy.wait();
            ++through;
            watch.join();
        });
    support::wait_until([&] { return asleep == 5; });
    BOOST_TEST(through == 0);
    event.set();
    for (std::thread& thread : threads)
        thread.join();
    BOOST_TEST(through == 5);
}

// Fails when a waiter looks at the bit alone: it is off again before the waiter runs.
BOOST_AUTO_TEST_CASE(a_clear_right_after_a_set_strands_nobody) {
    mp::liveness::tuning().tick_ns = 0;
    mp::Event event;
    for (int round = 0; round < support::scaled(200); ++round) {
        std::atomic<pid_t> tid{0};
        std::thread waiter([&] {
            tid = gettid();
            event.wait();
        });
        support::wait_until([&] { return tid != 0; });
        support::wait_until_asleep(tid);
        event.set();
        event.clear();
        waiter.join();
    }
}

// Two threads that answer each other by two events, as often as it takes to lose a wake-up.
BOOST_AUTO_TEST_CASE(no_wake_up_is_lost_between_two_who_answer_each_other) {
    mp::liveness::tuning().tick_ns = 0;
    mp::liveness::tuning().spins = 0;
    mp::Event ping;
    mp::Event pong;
    const int rounds = support::scaled(20'000);
    std::thread other([&] {
        for (int i = 0; i < rounds; ++i) {
            ping.wait();
            ping.clear();
            pong.set();
        }
    });
    for (int i = 0; i < rounds; ++i) {
        ping.set();
        pong.wait();
        pong.clear();
    }
    other.join();
}

BOOST_AUTO_TEST_CASE(named_events) {
    const std::string name = support::unique_name("event");
    auto made = mp::Event::create(name);
    auto opened = mp::Event::open(name);
    BOOST_CHECK_THROW(mp::Event::create(name), mp::AlreadyExists);
    made.set();
    BOOST_TEST(opened.is_set());
    mp::Process child{[&] { opened.clear(); }};
    child.start();
    support::expect_exit(child);
    BOOST_TEST(!made.is_set());
    BOOST_TEST(mp::Event::remove(name));
    BOOST_CHECK_THROW(mp::Event::open(name), mp::NotFound);
}

BOOST_AUTO_TEST_SUITE_END()
