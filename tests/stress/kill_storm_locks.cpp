#include "stress/rage.hpp"
#include "stress/shared_table.hpp"

#include <multifork/error.hpp>
#include <multifork/sync/lock.hpp>
#include <multifork/sync/semaphore.hpp>

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>

// Users of a lock and of a semaphore are killed at random and replaced, for seconds.

namespace mp = multifork;
namespace ut = boost::unit_test;
using namespace multifork::test;
using namespace std::chrono_literals;

namespace {

struct Book {
    std::atomic<std::uint64_t> first;  // both count what was done under the lock;
    std::atomic<std::uint64_t> second; // a death between them leaves them apart
    std::atomic<std::uint64_t> wrong;
    std::atomic<std::uint64_t> repaired;
    std::atomic<std::uint64_t> acquired;
    std::atomic<bool> stop;
};

void storm_a_lock(std::chrono::milliseconds time) {
    const SharedTable<Book> book;
    mp::Lock lock;
    const auto work = [&] {
        while (!book->stop) {
            try {
                const std::scoped_lock hold(lock);
                const std::uint64_t first = book->first;
                if (first != book->second)
                    ++book->wrong;
                // Not atomic on purpose: two at once would lose a count.
                book->first = first + 1;
                book->second = first + 1;
            } catch (const mp::OwnerDied&) {
                static_cast<void>(lock.recover([&] {
                    book->second = book->first.load();
                    ++book->repaired;
                }));
            }
        }
    };
    const std::uint64_t kills = rage(
        book->stop, [&](std::size_t) { work(); }, time);
    std::printf("lock       %6llu kills, %9llu times held, %llu repaired\n",
                static_cast<unsigned long long>(kills),
                static_cast<unsigned long long>(book->first.load()),
                static_cast<unsigned long long>(book->repaired.load()));
    BOOST_TEST(kills > 0u);
    BOOST_TEST(book->wrong == 0u);
    // The last death may have come after everybody else's last look.
    static_cast<void>(lock.recover([&] { book->second = book->first.load(); }));
    BOOST_TEST(book->first == book->second);
    BOOST_TEST(lock.try_lock());
    lock.unlock();
}

void storm_a_semaphore(std::chrono::milliseconds time) {
    constexpr std::int64_t permits = 2;
    const SharedTable<Book> book;
    mp::Semaphore semaphore{permits};
    const auto work = [&] {
        while (!book->stop) {
            semaphore.acquire();
            if (book->acquired++ % 64 == 0 && semaphore.value() > permits - 1)
                ++book->wrong; // this process holds one
            semaphore.release();
        }
    };
    const std::uint64_t kills = rage(
        book->stop, [&](std::size_t) { work(); }, time);
    std::printf("semaphore  %6llu kills, %9llu times acquired\n",
                static_cast<unsigned long long>(kills),
                static_cast<unsigned long long>(book->acquired.load()));
    BOOST_TEST(kills > 0u);
    BOOST_TEST(book->wrong == 0u);
    BOOST_TEST(semaphore.value() == permits);
}

} // namespace

BOOST_AUTO_TEST_SUITE(kill_storm)

BOOST_AUTO_TEST_CASE(a_lock_never_lets_two_in_and_never_strands_anybody, *ut::label("fast")) {
    storm_a_lock(1s);
}
BOOST_AUTO_TEST_CASE(a_semaphore_keeps_its_permits, *ut::label("fast")) {
    storm_a_semaphore(1s);
}
BOOST_AUTO_TEST_CASE(a_lock_stands_it_for_long, *ut::label("full") * ut::timeout(180)) {
    storm_a_lock(10s);
}
BOOST_AUTO_TEST_CASE(a_semaphore_stands_it_for_long, *ut::label("full") * ut::timeout(180)) {
    storm_a_semaphore(10s);
}

BOOST_AUTO_TEST_SUITE_END()
