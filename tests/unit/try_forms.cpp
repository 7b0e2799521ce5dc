#include <multifork/channel/joinable_queue.hpp>
#include <multifork/channel/queue.hpp>
#include <multifork/core/lock_cell.hpp>
#include <multifork/sync/semaphore.hpp>

#include "support/race.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>

namespace mp = multifork;
namespace support = multifork::test;

// try_get() and its like say "no" of what they have seen, not because another thread was in the
// middle of an operation just then.

namespace {

constexpr std::size_t threads = 3;
constexpr int many = 20'000;

/// What a race has come to.
struct Race {
    int wrong = 0;   ///< answers
    int at_most = 0; ///< one for each time that a thread's patience could come to its end
};

/// Who holds a lock inside may get no processor for longer than the others' patience, on a busy
/// machine, and then they may be wrong. Without any patience they are wrong hundreds of times in no
/// time at all.
template <class Work>
Race race(Work work) {
    std::atomic<int> wrong{0};
    const auto begin = std::chrono::steady_clock::now();
    support::race_in_threads(threads, [&] { work(wrong); });
    const auto elapsed = std::chrono::steady_clock::now() - begin;
    return {wrong, static_cast<int>(elapsed / mp::core::patience) * static_cast<int>(threads)};
}

/// Several take all there is, and nobody puts: who hears that there is nothing is never wrong.
template <class Queue>
Race race_to_empty(Queue& queue) {
    return race([&](std::atomic<int>& wrong) {
        for (;;) {
            auto got = queue.try_get();
            if (!got && queue.empty())
                return;
            if (!got)
                ++wrong;
            else if constexpr (requires { got->task_done(); })
                got->task_done();
        }
    });
}

template <class Queue>
Race race_to_fill(Queue& queue) {
    return race([&](std::atomic<int>& wrong) {
        for (;;) {
            const bool is_put = queue.try_put(1);
            if (!is_put && queue.full())
                return;
            if (!is_put)
                ++wrong;
        }
    });
}

void expect_no_other_mistake(const Race& race) {
    BOOST_TEST(race.wrong <= race.at_most);
}

} // namespace

BOOST_AUTO_TEST_SUITE(try_forms)

BOOST_AUTO_TEST_CASE(a_queue_is_empty_or_full_when_it_says_so) {
    mp::Queue<int> queue{many};
    expect_no_other_mistake(race_to_fill(queue));
    BOOST_TEST(queue.full());
    expect_no_other_mistake(race_to_empty(queue));
}

BOOST_AUTO_TEST_CASE(so_is_a_queue_of_tasks) {
    mp::JoinableQueue<int> queue{many};
    expect_no_other_mistake(race_to_fill(queue));
    BOOST_TEST(queue.full());
    expect_no_other_mistake(race_to_empty(queue));
    queue.join();
}

BOOST_AUTO_TEST_CASE(a_semaphore_with_enough_permits_refuses_nobody) {
    mp::Semaphore permits{threads};
    expect_no_other_mistake(race([&](std::atomic<int>& refused) {
        for (int i = 0; i < many; ++i)
            if (permits.try_acquire())
                permits.release();
            else
                ++refused;
    }));
    BOOST_TEST(permits.value() == static_cast<int>(threads));
}

BOOST_AUTO_TEST_SUITE_END()
