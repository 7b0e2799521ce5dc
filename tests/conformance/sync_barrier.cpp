#include <multifork/multifork.hpp>

#include "start_methods.hpp"
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
template <class F, class... Args>
void in_all_parties(const mp::Context& context, F body, const Args&... args) {
    std::vector<mp::Process> children;
    for (int i = 1; i < parties; ++i) {
        children.push_back(context.process(body, args...));
        children.back().start();
    }
    body(args...);
    for (mp::Process& child : children)
        support::expect_exit(child);
}

/// Counts who passed and who got BrokenBarrier.
struct Tally {
    mp::Value<int> passed{0};
    mp::Value<int> broken{0};
};

void meet(mp::Value<int>& passed, mp::Value<int>& broken, const std::function<void()>& wait) {
    try {
        wait();
        passed.fetch_add(1);
    } catch (const mp::BrokenBarrier&) {
        broken.fetch_add(1);
    }
}

/// All meet; then one aborts, while the others wait for it or are about to.
void one_aborts(mp::Barrier& all, mp::Value<int>& passed, mp::Value<int>& broken) {
    if (all.arrive_and_wait() == parties / 2)
        all.abort();
    else
        meet(passed, broken, [&] { all.arrive_and_wait(); });
}

} // namespace

BOOST_AUTO_TEST_SUITE(barriers)

MULTIFORK_EACH_START_METHOD(S_016_barrier) {
    const mp::Barrier barrier{parties};
    const mp::Value<int> before{0};
    const mp::Value<int> after{0};
    in_all_parties(
        context,
        [](mp::Barrier all, mp::Value<int> arrived, mp::Value<int> left) {
            for (int round = 0; round < 10; ++round) {
                arrived.fetch_add(1);
                support::demand(left.load() <= round * parties);
                all.arrive_and_wait();
                support::demand(arrived.load() >= (round + 1) * parties);
                left.fetch_add(1);
            }
        },
        barrier, before, after);
    BOOST_TEST(barrier.waiting() == 0u);
    BOOST_TEST(!barrier.broken());
}

MULTIFORK_EACH_START_METHOD(S_018_wait_returns_each_index_once) {
    const mp::Barrier barrier{parties};
    mp::Queue<std::uint64_t> indices{parties};
    in_all_parties(
        context,
        [](mp::Barrier all, mp::Queue<std::uint64_t> tell) { tell.put(all.arrive_and_wait()); },
        barrier, indices);
    std::vector<int> seen(parties);
    for (int i = 0; i < parties; ++i)
        ++seen.at(indices.get());
    BOOST_TEST((seen == std::vector<int>(parties, 1)));
}

MULTIFORK_EACH_START_METHOD(S_020_abort) {
    const mp::Barrier barrier{parties};
    const Tally tally;
    in_all_parties(
        context,
        [](mp::Barrier all, mp::Value<int> passed, mp::Value<int> broken) {
            one_aborts(all, passed, broken);
        },
        barrier, tally.passed, tally.broken);
    BOOST_TEST(tally.passed.load() == 0);
    BOOST_TEST(tally.broken.load() == parties - 1);
    BOOST_TEST(barrier.broken());
}

MULTIFORK_EACH_START_METHOD(S_022_abort_and_reset) {
    const mp::Barrier barrier{parties};
    const mp::Barrier second{parties};
    const Tally tally;
    const mp::Value<int> at_last{0};
    in_all_parties(
        context,
        [](mp::Barrier all, mp::Barrier other, mp::Value<int> passed, mp::Value<int> broken,
           mp::Value<int> last) {
            one_aborts(all, passed, broken);
            if (other.arrive_and_wait() == parties / 2)
                all.reset();
            other.arrive_and_wait();
            all.arrive_and_wait();
            last.fetch_add(1);
        },
        barrier, second, tally.passed, tally.broken, at_last);
    BOOST_TEST(tally.passed.load() == 0);
    BOOST_TEST(tally.broken.load() == parties - 1);
    BOOST_TEST(at_last.load() == parties);
}

MULTIFORK_EACH_START_METHOD(S_023_timeout) {
    const mp::Barrier barrier{parties};
    const Tally tally;
    in_all_parties(
        context,
        [](mp::Barrier all, mp::Value<int> passed, mp::Value<int> broken) {
            if (all.arrive_and_wait() == parties / 2)
                support::wait_until([&] { return all.broken(); });
            meet(passed, broken, [&] { all.arrive_and_wait_for(500ms); });
        },
        barrier, tally.passed, tally.broken);
    BOOST_TEST(tally.passed.load() == 0);
    BOOST_TEST(tally.broken.load() == parties);
}

// The first wait has a limit of its own: children that are spawned come late to it.
MULTIFORK_EACH_START_METHOD(S_024_default_timeout) {
    const mp::Barrier barrier{parties, {}, 500ms};
    const Tally tally;
    in_all_parties(
        context,
        [](mp::Barrier all, mp::Value<int> passed, mp::Value<int> broken) {
            if (all.arrive_and_wait_for(30s) == parties / 2)
                support::wait_until([&] { return all.broken(); });
            meet(passed, broken, [&] { all.arrive_and_wait(); });
        },
        barrier, tally.passed, tally.broken);
    BOOST_TEST(tally.passed.load() == 0);
    BOOST_TEST(tally.broken.load() == parties);
}

BOOST_AUTO_TEST_CASE(S_025_a_single_party_never_blocks) {
    mp::Barrier barrier{1};
    BOOST_TEST(barrier.arrive_and_wait() == 0u);
    BOOST_TEST(barrier.arrive_and_wait() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
