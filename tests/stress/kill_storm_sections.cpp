#include "stress/rage.hpp"
#include "stress/shared_table.hpp"

#include <multifork/channel/value.hpp>
#include <multifork/error.hpp>
#include <multifork/sync/bounded_semaphore.hpp>
#include <multifork/sync/condition.hpp>
#include <multifork/sync/lock.hpp>
#include <multifork/sync/semaphore.hpp>

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <thread>

#include <unistd.h>

// What lets one in at a time lets one in at a time, also while those who are in are killed: a
// semaphore of one permit, a bounded one, a condition's lock, Value::update().

namespace mp = multifork;
namespace ut = boost::unit_test;
using namespace multifork::test;
using namespace std::chrono_literals;

namespace {

struct Book {
    std::atomic<int> inside; // who is in; the dead leave theirs there
    std::atomic<std::uint64_t> wrong;
    std::atomic<std::uint64_t> times;
    std::atomic<bool> stop;
};

/// Is in for a while. Who comes in meanwhile writes over the mark of who is in.
void be_inside(Book& book) {
    const int me = ::getpid();
    book.inside = me;
    std::this_thread::yield();
    book.wrong += book.inside.exchange(0) != me;
    ++book.times;
}

void expect_one_at_a_time(const Book& book, std::uint64_t kills) {
    BOOST_TEST_MESSAGE(kills << " kills, " << book.times.load() << " times inside");
    BOOST_TEST(kills > 0u);
    BOOST_TEST(book.times > 0u);
    BOOST_TEST(book.wrong == 0u);
}

template <class Semaphore>
void storm_a_semaphore_of_one(std::chrono::milliseconds time) {
    const SharedTable<Book> book;
    Semaphore permit{1};
    const auto work = [&](std::size_t) {
        while (!book->stop) {
            permit.acquire();
            be_inside(*book);
            permit.release();
        }
    };
    expect_one_at_a_time(*book, rage(book->stop, work, time));
    BOOST_TEST(permit.value() == 1);
}

/// Two kinds of workers, who take turns. Who is killed in its turn leaves it to whoever comes next.
void storm_a_condition(std::chrono::milliseconds time) {
    const SharedTable<Book> book;
    mp::Lock lock;
    mp::Condition changed;
    mp::Value<std::uint64_t> turn{0};
    const auto work = [&](std::size_t place) {
        while (!book->stop) {
            try {
                std::unique_lock hold(lock);
                changed.wait(hold, [&] { return book->stop || turn.load() % 2 == place % 2; });
                be_inside(*book);
                turn.store(turn.load() + 1);
                changed.notify_all();
            } catch (const mp::OwnerDied&) {
                // Between its turn and its notification, perhaps.
                static_cast<void>(lock.recover([&] { changed.notify_all(); }));
            }
        }
    };
    const auto kills = rage(book->stop, work, time, [&] {
        // Under the lock: who has looked at `stop` before it was set is waiting by then.
        for (bool told = false; !told;)
            try {
                const std::scoped_lock hold(lock);
                changed.notify_all();
                told = true;
            } catch (const mp::OwnerDied&) {
                static_cast<void>(lock.recover());
            }
    });
    expect_one_at_a_time(*book, kills);
    BOOST_TEST(changed.waiters() == 0u);
}

struct Triple {
    std::uint64_t a = 0;
    std::uint64_t b = 0;
    std::uint64_t c = 0;
};

void storm_an_update(std::chrono::milliseconds time) {
    const SharedTable<Book> book;
    mp::Value<Triple> value;
    const auto work = [&](std::size_t) {
        while (!book->stop) {
            value.update([&](Triple& t) {
                book->wrong += t.a != t.b || t.b != t.c;
                ++t.a;
                std::this_thread::yield();
                t.b = t.c = t.a;
            });
            ++book->times; // those who are killed before that have changed it or not
        }
    };
    const std::uint64_t kills = rage(book->stop, work, time);
    expect_one_at_a_time(*book, kills);
    const Triple end = value.load();
    BOOST_TEST((end.a == end.b && end.b == end.c));
    BOOST_TEST(end.a >= book->times);
    BOOST_TEST(end.a <= book->times + kills);
}

} // namespace

BOOST_AUTO_TEST_SUITE(kill_storm_sections)

BOOST_AUTO_TEST_CASE(a_semaphore_of_one_lets_one_in, *ut::label("fast")) {
    storm_a_semaphore_of_one<mp::Semaphore>(1s);
}
BOOST_AUTO_TEST_CASE(a_bounded_semaphore_of_one_lets_one_in, *ut::label("fast")) {
    storm_a_semaphore_of_one<mp::BoundedSemaphore>(1s);
}
BOOST_AUTO_TEST_CASE(a_condition_gives_its_lock_to_one, *ut::label("fast")) {
    storm_a_condition(1s);
}
BOOST_AUTO_TEST_CASE(an_update_is_whole_and_none_is_lost, *ut::label("fast")) {
    storm_an_update(1s);
}
BOOST_AUTO_TEST_CASE(all_stand_it_for_long, *ut::label("full") * ut::timeout(300)) {
    storm_a_semaphore_of_one<mp::Semaphore>(10s);
    storm_a_semaphore_of_one<mp::BoundedSemaphore>(10s);
    storm_a_condition(10s);
    storm_an_update(10s);
}

BOOST_AUTO_TEST_SUITE_END()
