#include <multifork/channel/queue.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/error.hpp>
#include <multifork/liveness/domain.hpp>
#include <multifork/sync/barrier.hpp>
#include <multifork/sync/semaphore.hpp>

#include "support/children.hpp"
#include "support/leftovers.hpp"
#include "support/race.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <csignal>
#include <ostream>
#include <string>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

namespace mp = multifork;
namespace liveness = multifork::liveness;
namespace support = multifork::test;
using support::RawChild;

namespace multifork::test {
static std::ostream& operator<<(std::ostream& out, RawChild::Made made) {
    return out << (made == RawChild::Made::by_fork ? "fork" : "clone");
}
} // namespace multifork::test

// Children that multifork did not make: by fork(), and by a bare clone() that runs no handler of
// the C library. They are threads of their own all the same.

namespace {

const auto both_ways =
    boost::unit_test::data::make({RawChild::Made::by_fork, RawChild::Made::by_clone});

} // namespace

BOOST_AUTO_TEST_SUITE(raw_children)

BOOST_DATA_TEST_CASE(they_go_under_a_name_of_their_own, both_ways, made) {
    mp::Lock lock;
    const auto mine = liveness::enter(lock.domain());
    RawChild child(
        [&] {
            const auto name = liveness::enter(lock.domain());
            support::demand(name != mine);
            support::demand(liveness::pid_of(lock.domain(), name) ==
                            static_cast<std::uint32_t>(getpid()));
            support::demand(liveness::is_alive(lock.domain(), mine));
            return 0;
        },
        made);
    BOOST_TEST(child.wait() == 0);
    BOOST_TEST(liveness::enter(lock.domain()) == mine);
}

// The library's handlers look at errno to see whether a fork has failed.
BOOST_AUTO_TEST_CASE(a_fork_that_succeeds_leaves_errno_alone) {
    const mp::Lock lock; // so that the handlers have something to do
    errno = ENOTTY;
    const pid_t pid = ::fork();
    const int error = errno;
    if (pid == 0)
        ::_exit(error == ENOTTY ? 0 : 1);
    BOOST_TEST_REQUIRE(pid > 0);
    BOOST_TEST(error == ENOTTY);
    int status = 0;
    BOOST_TEST(::waitpid(pid, &status, 0) == pid);
    BOOST_TEST(status == 0);
}

BOOST_DATA_TEST_CASE(they_do_not_own_what_their_parent_holds, both_ways, made) {
    mp::Lock lock;
    lock.lock();
    RawChild child(
        [&] {
            support::demand(!lock.try_lock());
            try {
                lock.unlock();
            } catch (const mp::NotOwner&) {
                return 0;
            }
            return 1;
        },
        made);
    BOOST_TEST(child.wait() == 0);
    lock.unlock();
}

BOOST_DATA_TEST_CASE(they_use_lock_and_queue_as_anybody, both_ways, made) {
    mp::Lock lock;
    mp::Value<int> counter;
    mp::Queue<std::string> queue{2};
    mp::Barrier start{2};
    const int rounds = support::scaled(2'000);
    const auto work = [&] {
        start.arrive_and_wait();
        for (int i = 0; i < rounds; ++i) {
            const std::scoped_lock hold{lock};
            support::increment_in_two_steps(counter);
        }
        for (int i = 0; i < 20; ++i)
            queue.put(std::string(500, 'x'));
        return 0;
    };
    RawChild one(work, made);
    RawChild two(work, made);
    for (int i = 0; i < 40; ++i)
        BOOST_TEST(queue.get().size() == 500U);
    BOOST_TEST(one.wait() == 0);
    BOOST_TEST(two.wait() == 0);
    BOOST_TEST(counter.load() == 2 * rounds);
}

BOOST_DATA_TEST_CASE(their_death_with_a_lock_is_noticed, both_ways, made) {
    mp::Lock lock;
    mp::Queue<int> held{1};
    RawChild child(
        [&] {
            lock.lock();
            held.put(1);
            for (;;)
                pause();
            return 0;
        },
        made);
    static_cast<void>(held.get());
    BOOST_TEST(lock.owner()->pid == child.pid());
    BOOST_TEST(!lock.try_lock());
    child.kill();
    BOOST_CHECK_THROW(lock.lock(), mp::OwnerDied);
    BOOST_TEST(lock.recover());
    BOOST_TEST(child.wait() == -SIGKILL);
}

BOOST_DATA_TEST_CASE(their_permits_come_back_when_they_are_killed, both_ways, made) {
    mp::Semaphore permits{2};
    mp::Queue<int> held{1};
    RawChild child(
        [&] {
            permits.acquire();
            permits.acquire();
            held.put(1);
            for (;;)
                pause();
            return 0;
        },
        made);
    static_cast<void>(held.get());
    BOOST_TEST(permits.value() == 0);
    child.kill();
    permits.acquire();
    permits.acquire();
    permits.release(2);
    BOOST_TEST(permits.value() == 2);
}

// A clone inherits, in its copy of the C library's memory, the list in which its parent's threads
// have their beacons; were it to link its own to that, ends would be noticed by the wrong ones.
BOOST_DATA_TEST_CASE(the_parents_registration_survives_many_of_them, both_ways, made) {
    mp::Lock lock;
    mp::Lock other;
    lock.lock();
    lock.unlock();
    for (int i = 0; i < 20; ++i) {
        RawChild child(
            [&] {
                const std::scoped_lock hold{lock};
                return 0;
            },
            made);
        BOOST_TEST(child.wait() == 0);
        // A thread takes the slot that the child has left, and this thread registers anew.
        std::thread holder([&] {
            other.lock();
            liveness::detach(lock.domain());
            static_cast<void>(liveness::enter(lock.domain()));
            lock.lock();
        });
        liveness::detach_this_thread();
        static_cast<void>(liveness::enter(lock.domain()));
        holder.join();
        BOOST_CHECK_THROW(lock.lock(), mp::OwnerDied);
        BOOST_TEST(lock.recover());
        BOOST_TEST(other.recover());
    }
}

BOOST_DATA_TEST_CASE(they_use_named_objects_too, both_ways, made) {
    const std::string name = support::unique_name("raw");
    auto queue = mp::Queue<int>::create(name, 2);
    RawChild child(
        [&] {
            queue.put(1);
            mp::Queue<int>::open(name, 2).put(2);
            return 0;
        },
        made);
    BOOST_TEST(queue.get() == 1);
    BOOST_TEST(queue.get() == 2);
    BOOST_TEST(child.wait() == 0);
}

BOOST_AUTO_TEST_SUITE_END()
