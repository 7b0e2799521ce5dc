#include <multifork/channel/queue.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/error.hpp>
#include <multifork/process/process.hpp>
#include <multifork/sync/lock.hpp>
#include <multifork/sync/semaphore.hpp>

#include "support/children.hpp"

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;

// What survivors see when a process ends in the middle of something. tests/crash asks the same at
// every single instruction.

namespace {

[[noreturn]] void die() {
    raise(SIGKILL);
    for (;;)
        pause();
}

void end_with(int code, std::function<void()> target) {
    mp::Process child{std::move(target)};
    child.start();
    support::expect_exit(child, code);
}

} // namespace

BOOST_AUTO_TEST_SUITE(deaths)

BOOST_AUTO_TEST_CASE(a_lock_whose_owner_was_killed_or_exited_throws) {
    const std::vector<std::pair<int, std::function<void()>>> ends{
        {-SIGKILL, die}, {0, [] {}}, {3, [] { std::exit(3); }}, {4, [] { _exit(4); }}};
    for (const auto& [code, end] : ends) {
        mp::Lock lock;
        end_with(code, [&] {
            lock.lock();
            end();
        });
        BOOST_CHECK_THROW(lock.lock(), mp::OwnerDied);
        BOOST_TEST(!lock.owner()->alive);
        bool repaired = false;
        BOOST_TEST(lock.recover([&] { repaired = true; }));
        BOOST_TEST(repaired);
        lock.lock();
        lock.unlock();
    }
}

BOOST_AUTO_TEST_CASE(sleepers_of_several_processes_hear_of_the_death) {
    mp::Lock lock;
    mp::Semaphore told{0};
    mp::Queue<int> held{1};
    mp::Process owner{[&] {
        lock.lock();
        held.put(1);
        for (;;)
            pause();
    }};
    owner.start();
    static_cast<void>(held.get());
    std::vector<mp::Process> waiters;
    for (int i = 0; i < 3; ++i) {
        waiters.emplace_back([&] {
            try {
                lock.lock();
                support::demand(false);
            } catch (const mp::OwnerDied&) {
                told.release();
            }
        });
        waiters.back().start();
        support::wait_until_asleep(waiters.back().pid().value());
    }
    owner.kill();
    for (mp::Process& waiter : waiters)
        support::expect_exit(waiter);
    BOOST_TEST(told.value() == 3);
}

// The kernel has made it the first thread of its process by the time it looks what the thread held,
// and does not mark a beacon with another number. Sanitizers say much at such an exec.
BOOST_AUTO_TEST_CASE(a_lock_whose_owner_became_another_program_in_a_second_thread_throws) {
    mp::Lock lock;
    mp::Process child{[&] {
        std::thread([&] {
            lock.lock();
            ::execl("/bin/sleep", "sleep", "600", nullptr);
            ::_exit(127);
        }).join();
    }};
    child.start();
    support::wait_until([&] { return lock.owner().has_value(); });
    BOOST_CHECK_THROW(lock.lock(), mp::OwnerDied);
    BOOST_TEST(lock.recover());
    lock.lock();
    lock.unlock();
    BOOST_TEST(child.is_alive()); // as another program
    child.kill();
    support::expect_exit(child, -SIGKILL);
}

BOOST_AUTO_TEST_CASE(of_several_who_recover_one_repairs) {
    mp::Lock lock;
    mp::Value<int> repairs;
    end_with(-SIGKILL, [&] {
        lock.lock();
        die();
    });
    std::vector<mp::Process> recoverers;
    for (int i = 0; i < 4; ++i) {
        recoverers.emplace_back([&] {
            static_cast<void>(lock.recover([&] { repairs.fetch_add(1); }));
            lock.lock();
            lock.unlock();
        });
        recoverers.back().start();
    }
    for (mp::Process& recoverer : recoverers)
        recoverer.join();
    // Who lost the race may meet the lock while it is being repaired, and waits for its turn.
    for (mp::Process& recoverer : recoverers)
        support::expect_exit(recoverer);
    BOOST_TEST(repairs.load() == 1);
    BOOST_TEST(lock.recoveries() == 1U);
}

BOOST_AUTO_TEST_CASE(death_in_the_middle_of_a_repair_leaves_the_lock_dead) {
    mp::Lock lock;
    end_with(-SIGKILL, [&] {
        lock.lock();
        die();
    });
    end_with(-SIGKILL, [&] { static_cast<void>(lock.recover(die)); });
    BOOST_CHECK_THROW(lock.lock(), mp::OwnerDied);
    BOOST_TEST(lock.recover());
}

BOOST_AUTO_TEST_CASE(a_repair_that_throws_poisons_for_everybody_until_one_succeeds) {
    mp::Lock lock;
    end_with(-SIGKILL, [&] {
        lock.lock();
        die();
    });
    support::run_in_child([&] {
        try {
            static_cast<void>(lock.recover([] { throw std::runtime_error("cannot"); }));
            support::demand(false);
        } catch (const std::runtime_error& error) {
            support::demand(error.what() == std::string("cannot"));
        }
    });
    BOOST_CHECK_THROW(lock.lock(), mp::OwnerDied);
    support::run_in_child([&] { support::demand(lock.recover()); });
    lock.lock();
    lock.unlock();
}

BOOST_AUTO_TEST_CASE(a_repair_function_runs_in_the_process_that_locks_next) {
    mp::Value<int> repaired_by;
    mp::Lock lock{[&] { repaired_by.store(getpid()); }};
    for (int i = 0; i < 3; ++i) {
        end_with(-SIGKILL, [&] {
            lock.lock();
            die();
        });
        mp::Process next{[&] {
            lock.lock();
            lock.unlock();
        }};
        next.start();
        support::expect_exit(next);
        BOOST_TEST(repaired_by.load() == next.pid().value());
    }
    BOOST_TEST(lock.recoveries() == 3U);
}

BOOST_AUTO_TEST_CASE(resume_needs_no_repair) {
    mp::Lock lock{mp::on_owner_death::resume};
    end_with(-SIGKILL, [&] {
        lock.lock();
        die();
    });
    BOOST_TEST(lock.try_lock());
    lock.unlock();
    BOOST_TEST(lock.recoveries() == 1U);
}

BOOST_AUTO_TEST_CASE(permits_of_the_killed_come_back_and_of_the_orderly_stay_taken) {
    mp::Semaphore permits{4};
    end_with(-SIGKILL, [&] {
        permits.acquire();
        permits.acquire();
        die();
    });
    BOOST_TEST(permits.value() == 4);
    end_with(0, [&] { permits.acquire(); });
    BOOST_TEST(permits.value() == 3);
    end_with(5, [&] {
        permits.acquire();
        std::exit(5);
    });
    BOOST_TEST(permits.value() == 2);
    end_with(1, [&] {
        permits.acquire();
        throw std::runtime_error("on purpose");
    });
    BOOST_TEST(permits.value() == 1);
    permits.release(3); // by one who holds none: they had been taken for good
    BOOST_TEST(permits.value() == 4);
}

BOOST_AUTO_TEST_CASE(a_sleeper_gets_the_permit_of_one_who_is_killed) {
    mp::Semaphore permits{1};
    mp::Queue<int> held{1};
    mp::Process holder{[&] {
        permits.acquire();
        held.put(1);
        for (;;)
            pause();
    }};
    holder.start();
    static_cast<void>(held.get());
    mp::Process sleeper{[&] { permits.acquire(); }};
    sleeper.start();
    support::wait_until_asleep(sleeper.pid().value());
    holder.kill();
    support::expect_exit(sleeper);
}

BOOST_AUTO_TEST_CASE(a_killed_consumer_leaves_the_queue_to_the_others) {
    mp::Queue<std::string> queue{4};
    std::vector<mp::Process> consumers;
    mp::Value<int> got;
    for (int i = 0; i < 3; ++i) {
        consumers.emplace_back([&] {
            for (const std::string& text : queue)
                got.fetch_add(text.size() == 700 ? 1 : 1'000'000);
        });
        consumers.back().start();
        support::wait_until_asleep(consumers.back().pid().value());
    }
    consumers[0].kill();
    consumers[1].kill();
    for (int i = 0; i < 50; ++i)
        queue.put(std::string(700, 'x'));
    queue.close();
    support::expect_exit(consumers[2]);
    BOOST_TEST(got.load() == 50);
}

BOOST_AUTO_TEST_CASE(a_killed_producer_leaves_whole_items_and_a_usable_queue) {
    for (int round = 0; round < support::scaled(30); ++round) {
        mp::Queue<std::string> queue{8};
        mp::Process producer{[&] {
            for (int i = 0;; ++i)
                queue.put(std::string(static_cast<std::size_t>(300 + i % 100), 'p'));
        }};
        producer.start();
        int next = 0;
        const auto check = [&](const std::string& text) {
            BOOST_REQUIRE(text.size() == static_cast<std::size_t>(300 + next++ % 100));
        };
        for (int i = 0; i < 20 + round; ++i)
            check(queue.get());
        producer.kill();
        producer.join();
        while (auto text = queue.try_get())
            check(*text);
        queue.put("still usable");
        BOOST_TEST(queue.get() == "still usable");
    }
}

BOOST_AUTO_TEST_CASE(a_process_killed_in_update_leaves_the_old_value_and_no_dead_lock) {
    struct Pair {
        long a, b, c;
    };
    mp::Value<Pair> pair{{1, 1, 1}};
    end_with(-SIGKILL, [&] {
        pair.update([](Pair& p) {
            p.a = 2;
            die();
        });
    });
    BOOST_TEST(pair.load().a == 1);
    BOOST_TEST(pair.update([](Pair& p) { p = {3, 3, 3}; }).c == 3);
}

BOOST_AUTO_TEST_SUITE_END()
