#include <multifork/multifork.hpp>

#include "support/children.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <functional>
#include <thread>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

// How CPython's Barrier behaves, with five parties as in its tests, each a process.

namespace {

constexpr int parties = 5;

/// Runs `body` in four children and here; all must end well.
void in_all_parties(const std::function<void()>& body) {
    std::vector<mp::Process> children;
    for (int i = 1; i < parties; ++i) {
        children.emplace_back(body);
        children.back().start();
    }
    body();
    for (mp::Process& child : children)
        support::expect_exit(child);
}

/// Counts who passed and who got BrokenBarrier.
struct Tally {
    mp::Value<int> passed{0};
    mp::Value<int> broken{0};

    void meet(const std::function<void()>& wait) {
        try {
            wait();
            passed.fetch_add(1);
        } catch (const mp::BrokenBarrier&) {
            broken.fetch_add(1);
        }
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(barriers)

BOOST_AUTO_TEST_CASE(S_016_barrier) {
    mp::Barrier barrier{parties};
    mp::Value<int> before{0};
    mp::Value<int> after{0};
    in_all_parties([&] {
        for (int round = 0; round < 10; ++round) {
            before.fetch_add(1);
            support::demand(after.load() <= round * parties);
            barrier.arrive_and_wait();
            support::demand(before.load() >= (round + 1) * parties);
            after.fetch_add(1);
        }
    });
    BOOST_TEST(barrier.waiting() == 0u);
    BOOST_TEST(!barrier.broken());
}

BOOST_AUTO_TEST_CASE(S_018_wait_returns_each_index_once) {
    mp::Barrier barrier{parties};
    mp::Queue<std::uint64_t> indices{parties};
    in_all_parties([&] { indices.put(barrier.arrive_and_wait()); });
    std::vector<int> seen(parties);
    for (int i = 0; i < parties; ++i)
        ++seen.at(indices.get());
    BOOST_TEST((seen == std::vector<int>(parties, 1)));
}

BOOST_AUTO_TEST_CASE(S_020_abort) {
    mp::Barrier barrier{parties};
    Tally tally;
    in_all_parties([&] {
        if (barrier.arrive_and_wait() == parties / 2)
            barrier.abort();
        else
            tally.meet([&] { barrier.arrive_and_wait(); });
    });
    BOOST_TEST(tally.passed.load() == 0);
    BOOST_TEST(tally.broken.load() == parties - 1);
    BOOST_TEST(barrier.broken());
}

BOOST_AUTO_TEST_CASE(S_022_abort_and_reset) {
    mp::Barrier barrier{parties};
    mp::Barrier second{parties};
    Tally tally;
    mp::Value<int> at_last{0};
    in_all_parties([&] {
        if (barrier.arrive_and_wait() == parties / 2)
            barrier.abort();
        else
            tally.meet([&] { barrier.arrive_and_wait(); });
        if (second.arrive_and_wait() == parties / 2)
            barrier.reset();
        second.arrive_and_wait();
        barrier.arrive_and_wait();
        at_last.fetch_add(1);
    });
    BOOST_TEST(tally.passed.load() == 0);
    BOOST_TEST(tally.broken.load() == parties - 1);
    BOOST_TEST(at_last.load() == parties);
}

BOOST_AUTO_TEST_CASE(S_023_timeout) {
    mp::Barrier barrier{parties};
    Tally tally;
    in_all_parties([&] {
        if (barrier.arrive_and_wait() == parties / 2)
            std::this_thread::sleep_for(1s);
        tally.meet([&] { barrier.arrive_and_wait_for(500ms); });
    });
    BOOST_TEST(tally.passed.load() == 0);
    BOOST_TEST(tally.broken.load() == parties);
}

BOOST_AUTO_TEST_CASE(S_024_default_timeout) {
    mp::Barrier barrier{parties, {}, 500ms};
    Tally tally;
    in_all_parties([&] {
        if (barrier.arrive_and_wait_for(30s) == parties / 2)
            std::this_thread::sleep_for(1s);
        tally.meet([&] { barrier.arrive_and_wait(); });
    });
    BOOST_TEST(tally.passed.load() == 0);
    BOOST_TEST(tally.broken.load() == parties);
}

BOOST_AUTO_TEST_CASE(S_025_a_single_party_never_blocks) {
    mp::Barrier barrier{1};
    BOOST_TEST(barrier.arrive_and_wait() == 0u);
    BOOST_TEST(barrier.arrive_and_wait() == 0u);
}

// Without a Manager: the barrier itself crosses into the child.
BOOST_AUTO_TEST_CASE(M_022_barrier_of_a_child) {
    mp::Barrier barrier{5};
    support::run_in_child([&] {
        support::demand(barrier.parties() == 5);
        barrier.reset();
    });
    BOOST_TEST(!barrier.broken());
}

BOOST_AUTO_TEST_SUITE_END()
