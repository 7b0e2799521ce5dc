#include <multifork/arena/object.hpp>
#include <multifork/core/rwlock_cell.hpp>
#include <multifork/liveness/tuning.hpp>
#include <multifork/sync/event.hpp>
#include <multifork/sync/rwlock.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/leftovers.hpp"
#include "support/race.hpp"
#include "unit/named_files.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

template <class F>
void elsewhere(F act) {
    std::thread(act).join();
}

void die_writing(mp::RWLock& lock) {
    mp::Process child{[&] {
        lock.lock();
        raise(SIGKILL);
    }};
    child.start();
    support::expect_exit(child, -SIGKILL);
}

} // namespace

BOOST_AUTO_TEST_SUITE(rwlock)

BOOST_AUTO_TEST_CASE(several_read_and_one_writes) {
    mp::RWLock lock;
    lock.lock_shared();
    elsewhere([&] {
        BOOST_TEST(lock.try_lock_shared());
        BOOST_TEST(lock.readers() == 2u);
        BOOST_TEST(lock.to_string() == "<RWLock read by 2>");
        BOOST_TEST(!lock.try_lock());
        lock.unlock_shared();
        BOOST_TEST(!lock.try_lock());
        BOOST_TEST(!lock.try_lock_for(5ms));
        BOOST_TEST(lock.try_lock_shared()); // writers that gave up keep no reader out
        lock.unlock_shared();
    });
    lock.unlock_shared();
    lock.lock();
    BOOST_TEST(lock.writer()->pid == getpid());
    elsewhere([&] {
        BOOST_TEST(!lock.try_lock());
        BOOST_TEST(!lock.try_lock_shared());
        BOOST_TEST(!lock.try_lock_shared_for(5ms));
        BOOST_TEST(!lock.try_lock_until(std::chrono::steady_clock::now() + 1ms));
        BOOST_TEST(!lock.try_lock_shared_until(std::chrono::steady_clock::now()));
    });
    lock.unlock();
    BOOST_TEST(fmt::format("{}", lock) == "<RWLock free>");
    BOOST_TEST(lock.try_lock_shared_for(std::chrono::hours::max()));
    lock.unlock_shared();
    BOOST_TEST(lock.try_lock_for(std::chrono::hours::max()));
    lock.unlock();
}

BOOST_AUTO_TEST_CASE(guards_of_the_standard_library) {
    mp::RWLock lock;
    {
        const std::shared_lock one{lock};
        const std::shared_lock two{lock, 1s};
        BOOST_TEST(two.owns_lock());
        BOOST_TEST(lock.readers() == 1u); // a thread, twice
    }
    {
        const std::scoped_lock write{lock};
        BOOST_TEST(lock.writer().has_value());
    }
    const std::unique_lock timed{lock, 10ms};
    BOOST_TEST(timed.owns_lock());
}

BOOST_AUTO_TEST_CASE(what_is_not_held_cannot_be_unlocked) {
    mp::RWLock lock;
    support::expect_error<mp::NotOwner>([&] { lock.unlock(); }, {"unlock()", "free"});
    support::expect_error<mp::NotOwner>([&] { lock.unlock_shared(); }, {"unlock_shared()"});
    lock.lock_shared();
    BOOST_CHECK_THROW(lock.unlock(), mp::NotOwner);
    elsewhere([&] { BOOST_CHECK_THROW(lock.unlock_shared(), mp::NotOwner); });
    lock.unlock_shared();
    lock.lock();
    BOOST_CHECK_THROW(lock.unlock_shared(), mp::NotOwner);
    elsewhere([&] { BOOST_CHECK_THROW(lock.unlock(), mp::NotOwner); });
    lock.unlock();
}

BOOST_AUTO_TEST_CASE(who_would_wait_for_itself_is_told) {
    mp::RWLock lock;
    lock.lock();
    BOOST_CHECK_THROW(lock.lock(), mp::WouldDeadlock);
    BOOST_CHECK_THROW(lock.lock_shared(), mp::WouldDeadlock);
    BOOST_TEST(!lock.try_lock_shared());
    BOOST_TEST(!lock.try_lock_for(1ms));
    lock.unlock();
    lock.lock_shared();
    BOOST_CHECK_THROW(lock.lock(), mp::WouldDeadlock);
    BOOST_TEST(!lock.try_lock());
    BOOST_TEST(!lock.try_lock_for(1ms));
    lock.unlock_shared();
    lock.lock();
    lock.unlock();
}

// Fails when a reader comes in beside a waiting writer: there is always one more.
BOOST_AUTO_TEST_CASE(readers_do_not_starve_a_writer) {
    mp::RWLock lock;
    std::atomic<bool> written{false};
    std::vector<std::thread> readers;
    std::atomic<int> reading{0};
    for (int i = 0; i < 3; ++i)
        readers.emplace_back([&] {
            while (!written) {
                const std::shared_lock read{lock};
                ++reading;
                // Never without a reader, as long as others come in.
                for (int k = 0; k < 200 && reading < 2 && !written; ++k)
                    std::this_thread::yield();
                --reading;
            }
        });
    support::wait_until([&] { return reading > 0; });
    lock.lock();
    written = true;
    lock.unlock();
    for (std::thread& reader : readers)
        reader.join();
}

BOOST_AUTO_TEST_CASE(a_reader_may_read_once_more_although_a_writer_waits) {
    mp::liveness::tuning().tick_ns = 0;
    mp::RWLock lock;
    lock.lock_shared();
    std::atomic<pid_t> tid{0};
    std::thread writer([&] {
        tid = gettid();
        lock.lock();
        lock.unlock();
    });
    support::wait_until([&] { return tid != 0; });
    support::wait_until_asleep(tid);
    elsewhere([&] { BOOST_TEST(!lock.try_lock_shared()); });
    lock.lock_shared();
    lock.unlock_shared();
    lock.unlock_shared();
    writer.join();
}

BOOST_AUTO_TEST_CASE(a_writer_that_gives_up_lets_the_readers_behind_it_in) {
    mp::liveness::tuning().tick_ns = 0;
    mp::RWLock lock;
    lock.lock_shared();
    std::atomic<pid_t> tid{0};
    std::thread writer([&] {
        tid = gettid();
        BOOST_TEST(!lock.try_lock_for(100ms));
    });
    support::wait_until([&] { return tid != 0; });
    support::wait_until_asleep(tid);
    elsewhere([&] {
        lock.lock_shared();
        lock.unlock_shared();
    });
    writer.join();
    lock.unlock_shared();
}

BOOST_AUTO_TEST_CASE(a_killed_reader_is_gone_and_its_writer_goes_on) {
    mp::liveness::tuning().tick_ns = 0;
    mp::RWLock lock;
    mp::Event reads;
    mp::Process reader{[&] {
        lock.lock_shared();
        lock.lock_shared();
        reads.set();
        for (;;)
            pause();
    }};
    reader.start();
    reads.wait();
    mp::Process writer{[&] {
        lock.lock();
        lock.unlock();
    }};
    writer.start();
    support::wait_until_asleep(writer.pid().value());
    BOOST_TEST(writer.is_alive());
    reader.kill();
    support::expect_exit(writer);
    BOOST_TEST(lock.readers() == 0u);
    reader.join();
}

BOOST_AUTO_TEST_CASE(a_reader_that_ended_in_order_is_gone_too) {
    mp::RWLock lock;
    elsewhere([&] { lock.lock_shared(); });
    lock.lock();
    lock.unlock();
}

BOOST_AUTO_TEST_CASE(after_a_writers_death_everybody_is_told_until_somebody_recovers) {
    mp::RWLock lock;
    die_writing(lock);
    BOOST_TEST(lock.to_string() == "<RWLock owner died>");
    for (int i = 0; i < 2; ++i) {
        BOOST_CHECK_THROW(lock.lock(), mp::OwnerDied);
        BOOST_CHECK_THROW(lock.lock_shared(), mp::OwnerDied);
        BOOST_CHECK_THROW(static_cast<void>(lock.try_lock()), mp::OwnerDied);
        BOOST_CHECK_THROW(static_cast<void>(lock.try_lock_shared()), mp::OwnerDied);
    }
    int repaired = 0;
    BOOST_TEST(lock.recover([&] {
        ++repaired;
        elsewhere([&] { BOOST_TEST(!lock.try_lock_shared()); });
    }));
    BOOST_TEST(!lock.recover([&] { ++repaired; }));
    BOOST_TEST(repaired == 1);
    lock.lock_shared();
    lock.unlock_shared();
    BOOST_TEST(lock.recoveries() == 1u);
}

BOOST_AUTO_TEST_CASE(a_repair_function_runs_alone_be_it_for_a_reader_or_a_writer) {
    int repaired = 0;
    mp::RWLock* self = nullptr;
    mp::RWLock lock{[&] {
        ++repaired;
        BOOST_TEST(self->writer()->alive);
    }};
    self = &lock;
    die_writing(lock);
    lock.lock_shared();
    BOOST_TEST(repaired == 1);
    BOOST_TEST(!lock.writer().has_value());
    lock.unlock_shared();
    die_writing(lock);
    lock.lock();
    BOOST_TEST(repaired == 2);
    lock.unlock();
    mp::RWLock resumed{mp::on_owner_death::resume};
    die_writing(resumed);
    resumed.lock_shared();
    resumed.unlock_shared();
    mp::RWLock broken{[] { throw std::runtime_error("no"); }};
    die_writing(broken);
    BOOST_CHECK_THROW(broken.lock_shared(), std::runtime_error);
    BOOST_TEST(!broken.writer()->alive);
}

BOOST_AUTO_TEST_CASE(the_death_of_a_writer_that_waited_is_seen_by_nobody) {
    mp::RWLock lock;
    lock.lock_shared();
    mp::Process waiter{[&] { lock.lock(); }};
    waiter.start();
    support::wait_until_asleep(waiter.pid().value());
    elsewhere([&] { BOOST_TEST(!lock.try_lock_shared()); });
    waiter.kill();
    waiter.join();
    elsewhere([&] {
        BOOST_TEST(lock.try_lock_shared());
        lock.unlock_shared();
    });
    lock.unlock_shared();
    lock.lock();
    lock.unlock();
    BOOST_TEST(lock.recoveries() == 0u);
}

// Fails without the lock, and when readers and writers do not see each other.
BOOST_AUTO_TEST_CASE(readers_never_see_half_of_what_is_written) {
    mp::RWLock lock;
    std::atomic<long> first{0};
    std::atomic<long> second{0};
    std::atomic<int> wrong{0};
    const int rounds = support::scaled(5'000);
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < rounds; ++i) {
                const std::scoped_lock write{lock};
                const long before = first;
                first = before + 1;
                if (i % 32 == 0)
                    std::this_thread::yield();
                second = before + 1;
            }
        });
        threads.emplace_back([&] {
            for (int i = 0; i < rounds; ++i) {
                const std::shared_lock read{lock};
                const long before = first;
                if (i % 32 == 0)
                    std::this_thread::yield();
                if (second != before)
                    ++wrong;
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    BOOST_TEST(wrong == 0);
    BOOST_TEST(first == 2L * rounds);
}

BOOST_AUTO_TEST_CASE(the_reader_too_many_is_told) {
    const std::string name = support::unique_name("full");
    auto lock = mp::RWLock::create(name);
    lock.lock_shared();
    {
        // As if that many read: each place has the name of this thread.
        const support::Bytes bytes(name);
        auto& cell = bytes.root<mp::core::RwLockCell>();
        for (auto& reader : cell.readers)
            reader.name.store(cell.readers[0].name.load());
        cell.used.store(mp::core::max_readers);
        elsewhere([&] {
            support::expect_error<mp::TooManyThreads>([&] { lock.lock_shared(); }, {"1024"});
        });
        for (std::size_t i = 1; i < mp::core::max_readers; ++i)
            cell.readers[i].name.store(0);
    }
    lock.unlock_shared();
    lock.lock();
    lock.unlock();
}

BOOST_AUTO_TEST_CASE(named_and_copied) {
    const std::string name = support::unique_name("rwlock");
    auto made = mp::RWLock::create(name);
    auto opened = mp::RWLock::open(name);
    auto copy = opened;
    made.lock_shared();
    BOOST_TEST(copy.readers() == 1u);
    support::run_in_child([&] {
        auto mine = mp::RWLock::open_or_create(name);
        support::demand(!mine.try_lock());
        support::demand(mine.try_lock_shared());
    });
    made.unlock_shared();
    BOOST_TEST(copy.try_lock());
    copy.unlock();
    BOOST_TEST(mp::RWLock::remove(name));
}

// One who wants to read, and does not wait, is not refused because another reader is in the middle
// of an operation just then. (But for who gets no processor there for as long as others have
// patience.)
BOOST_AUTO_TEST_CASE(a_reader_that_tries_is_not_refused_by_readers) {
    constexpr std::size_t threads = 3;
    const mp::RWLock lock;
    std::atomic<int> refused{0};
    const auto begin = std::chrono::steady_clock::now();
    support::race_in_threads(threads, [&] {
        for (int i = 0; i < 20'000; ++i)
            if (lock.try_lock_shared())
                lock.unlock_shared();
            else
                ++refused;
    });
    const auto elapsed = std::chrono::steady_clock::now() - begin;
    BOOST_TEST(refused <=
               static_cast<int>(elapsed / mp::core::patience) * static_cast<int>(threads));
}

// The guard of the ledger is held for some hundred nanoseconds, unless its holder is stopped there.
BOOST_AUTO_TEST_CASE(who_is_stopped_inside_holds_up_no_try) {
    namespace core = mp::core;
    using mp::platform::Deadline;
    const auto object = mp::arena::Object::make(sizeof(core::RwLockCell), mp::arena::Kind::rwlock,
                                                [](std::byte*) {});
    auto& cell = *reinterpret_cast<core::RwLockCell*>(object.data());
    mp::liveness::Domain& domain = object.space().domain();
    support::RawChild stopped([&] {
        static_cast<void>(core::lock(cell.guard, domain, mp::liveness::enter(domain),
                                     Deadline::never(), core::OnDeath::inherit));
        support::sleep_for_ever();
        return 0;
    });
    support::wait_until([&] { return cell.guard.word != mp::liveness::nobody; });
    const auto on_death = core::OnDeath::refuse;
    for (const auto& deadline : std::vector<std::function<Deadline()>>{
             [] { return Deadline::poll(); }, [] { return Deadline::after(20ms); }}) {
        BOOST_TEST((core::rwlock_lock_shared(cell, domain, deadline(), on_death) ==
                    core::Shared::timed_out));
        BOOST_TEST(
            (core::rwlock_lock(cell, domain, deadline(), on_death) == core::Acquired::timed_out));
    }
    BOOST_TEST(cell.writer.word == mp::liveness::nobody); // given back
    stopped.kill();
    stopped.wait();
    BOOST_TEST((core::rwlock_lock_shared(cell, domain, Deadline::poll(), on_death) ==
                core::Shared::clean));
    BOOST_TEST(core::rwlock_unlock_shared(cell, domain));
    BOOST_TEST(
        (core::rwlock_lock(cell, domain, Deadline::poll(), on_death) == core::Acquired::clean));
    core::rwlock_unlock(cell);
}

BOOST_AUTO_TEST_SUITE_END()
