#include <multifork/liveness/tuning.hpp>
#include <multifork/multifork.hpp>

#include "support/children.hpp"

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;

// Processes that are killed while they wait for each other. tests/crash asks the same at every
// single instruction, with FUTEX_WAITV; here also as on a kernel that has none.

namespace {

enum class Kernel { with_waitv, without_waitv };

/// The sleep of this process, and of all that it forks, is that of the given kernel.
void sleep_as_on(Kernel kernel) {
    mp::liveness::tuning().use_waitv = kernel == Kernel::with_waitv;
}

constexpr Kernel kernels[] = {Kernel::with_waitv, Kernel::without_waitv};

mp::Process started(std::function<void()> target) {
    mp::Process child{std::move(target)};
    child.start();
    return child;
}

[[noreturn]] void die() {
    raise(SIGKILL);
    for (;;)
        pause();
}

} // namespace

BOOST_AUTO_TEST_SUITE(sync_deaths)

BOOST_AUTO_TEST_CASE(an_event_wakes_those_who_sleep_beside_a_killed_sleeper) {
    for (const Kernel kernel : kernels) {
        sleep_as_on(kernel);
        mp::Event event;
        std::vector<mp::Process> sleepers;
        for (int i = 0; i < 3; ++i) {
            sleepers.push_back(started([&] { event.wait(); }));
            support::wait_until_asleep(sleepers.back().pid().value());
        }
        sleepers[0].kill();
        sleepers[0].join();
        auto setter = started([&] {
            event.set();
            die();
        });
        support::expect_exit(sleepers[1]);
        support::expect_exit(sleepers[2]);
        setter.join();
    }
}

BOOST_AUTO_TEST_CASE(the_notification_of_a_killed_consumer_goes_to_another) {
    for (const Kernel kernel : kernels) {
        sleep_as_on(kernel);
        mp::Lock lock;
        mp::Condition filled;
        mp::Value<int> items{0};
        std::vector<mp::Process> consumers;
        for (unsigned i = 0; i < 2; ++i) {
            consumers.push_back(started([&] {
                std::unique_lock hold{lock};
                filled.wait(hold, [&] { return items.value() > 0; });
                items.value() -= 1;
            }));
            support::wait_until([&] { return filled.waiters() == i + 1; });
        }
        std::unique_lock hold{lock};
        items.value() = 1;
        filled.notify_one(); // to the first one, who cannot have the lock
        support::wait_until([&] { return filled.waiters() == 1; });
        consumers[0].kill();
        consumers[0].join();
        hold.unlock();
        support::expect_exit(consumers[1]);
        BOOST_TEST(items.load() == 0);
    }
}

BOOST_AUTO_TEST_CASE(a_barrier_of_processes_breaks_when_one_is_killed_and_serves_again) {
    for (const Kernel kernel : kernels) {
        sleep_as_on(kernel);
        mp::Barrier barrier{3};
        auto victim = started([&] { barrier.arrive_and_wait(); });
        auto other = started([&] {
            try {
                barrier.arrive_and_wait();
                support::demand(false);
            } catch (const mp::BrokenBarrier&) {
            }
        });
        support::wait_until([&] { return barrier.waiting() == 2; });
        victim.kill();
        support::expect_exit(other);
        BOOST_CHECK_THROW(barrier.arrive_and_wait(), mp::BrokenBarrier);
        victim.join();
        barrier.reset();
        auto second = started([&] { barrier.arrive_and_wait(); });
        auto third = started([&] { barrier.arrive_and_wait(); });
        barrier.arrive_and_wait();
        support::expect_exit(second);
        support::expect_exit(third);
    }
}

BOOST_AUTO_TEST_CASE(readers_and_writers_get_past_the_killed) {
    for (const Kernel kernel : kernels) {
        sleep_as_on(kernel);
        mp::RWLock lock{mp::on_owner_death::resume};
        mp::Event held;
        auto reader = started([&] {
            lock.lock_shared();
            held.set();
            for (;;)
                pause();
        });
        held.wait();
        held.clear();
        auto writer = started([&] {
            lock.lock();
            held.set();
            for (;;)
                pause();
        });
        support::wait_until_asleep(writer.pid().value());
        reader.kill();
        held.wait(); // the writer has it
        auto next = started([&] { const std::shared_lock read{lock}; });
        support::wait_until_asleep(next.pid().value());
        writer.kill();
        support::expect_exit(next);
        BOOST_TEST(lock.recoveries() == 1u);
        reader.join();
        writer.join();
    }
}

BOOST_AUTO_TEST_CASE(a_recursive_lock_and_a_bounded_semaphore_of_the_killed_can_be_used_again) {
    for (const Kernel kernel : kernels) {
        sleep_as_on(kernel);
        mp::RLock lock{mp::on_owner_death::resume};
        mp::BoundedSemaphore permits{1};
        mp::Event held;
        auto victim = started([&] {
            lock.lock();
            lock.lock();
            permits.acquire();
            held.set();
            for (;;)
                pause();
        });
        held.wait();
        auto next = started([&] {
            permits.acquire();
            const std::scoped_lock hold{lock};
            support::demand(lock.depth() == 1);
            permits.release();
        });
        support::wait_until_asleep(next.pid().value());
        victim.kill();
        support::expect_exit(next);
        BOOST_TEST(permits.value() == 1);
        victim.join();
    }
}

BOOST_AUTO_TEST_SUITE_END()
