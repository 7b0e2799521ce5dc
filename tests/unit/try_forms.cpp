#include <multifork/channel/joinable_queue.hpp>
#include <multifork/channel/queue.hpp>
#include <multifork/sync/semaphore.hpp>

#include "support/race.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstddef>

namespace mp = multifork;
namespace support = multifork::test;

// try_get() and its like say "no" of what they have seen, not because another thread was in the
// middle of an operation just then.

namespace {

constexpr std::size_t threads = 3;
constexpr int many = 20'000;
// On a busy machine a thread may get no processor for longer than the others' patience. Without any
// patience they are wrong hundreds of times.
constexpr int at_most = 3;

/// Several take all there is, and nobody puts: who hears that there is nothing is never wrong.
template <class Queue>
int wrong_about_empty(Queue& queue) {
    std::atomic<int> wrong{0};
    support::race_in_threads(threads, [&] {
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
    return wrong;
}

template <class Queue>
int wrong_about_full(Queue& queue) {
    std::atomic<int> wrong{0};
    support::race_in_threads(threads, [&] {
        for (;;) {
            const bool is_put = queue.try_put(1);
            if (!is_put && queue.full())
                return;
            if (!is_put)
                ++wrong;
        }
    });
    return wrong;
}

} // namespace

BOOST_AUTO_TEST_SUITE(try_forms)

BOOST_AUTO_TEST_CASE(a_queue_is_empty_or_full_when_it_says_so) {
    mp::Queue<int> queue{many};
    BOOST_TEST(wrong_about_full(queue) <= at_most);
    BOOST_TEST(queue.full());
    BOOST_TEST(wrong_about_empty(queue) <= at_most);
}

BOOST_AUTO_TEST_CASE(so_is_a_queue_of_tasks) {
    mp::JoinableQueue<int> queue{many};
    BOOST_TEST(wrong_about_full(queue) <= at_most);
    BOOST_TEST(queue.full());
    BOOST_TEST(wrong_about_empty(queue) <= at_most);
    queue.join();
}

BOOST_AUTO_TEST_CASE(a_semaphore_with_enough_permits_refuses_nobody) {
    mp::Semaphore permits{threads};
    std::atomic<int> refused{0};
    support::race_in_threads(threads, [&] {
        for (int i = 0; i < many; ++i)
            if (permits.try_acquire())
                permits.release();
            else
                ++refused;
    });
    BOOST_TEST(refused <= at_most);
    BOOST_TEST(permits.value() == static_cast<int>(threads));
}

BOOST_AUTO_TEST_SUITE_END()
