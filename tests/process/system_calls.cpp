#include <multifork/multifork.hpp>

#include <boost/test/unit_test.hpp>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

namespace mp = multifork;

// Counts system calls as strace does: by ptrace, between two stops that the child makes around the
// operation. It proves the promise that no uncontended path makes any.

namespace {

/// System calls of one run of `operation`, after a run that warms up (attaches the thread, say).
long system_calls_of(const std::function<void()>& operation) {
    const pid_t child = ::fork();
    if (child == 0) {
        operation();
        ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        ::raise(SIGSTOP);
        operation();
        asm volatile("int3");
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    BOOST_REQUIRE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    ::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    long stops = 0;
    for (;;) {
        ::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
        ::waitpid(child, &status, 0);
        if (!WIFSTOPPED(status) || WSTOPSIG(status) == SIGTRAP)
            break;
        if (WSTOPSIG(status) == (SIGTRAP | 0x80))
            ++stops;
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    // A call stops at entry and at exit; raise() is left through the exit of its own call.
    return stops / 2;
}

struct Wide {
    long values[8];
};

} // namespace

BOOST_AUTO_TEST_SUITE(system_calls,
                      *boost::unit_test::label("no_asan") * boost::unit_test::label("no_tsan"))

BOOST_AUTO_TEST_CASE(the_count_sees_a_system_call) {
    BOOST_TEST(system_calls_of([] { static_cast<void>(::getppid()); }) == 1);
}

BOOST_AUTO_TEST_CASE(an_uncontended_lock_makes_none) {
    mp::Lock lock;
    BOOST_TEST(system_calls_of([&] {
                   lock.lock();
                   lock.unlock();
                   if (lock.try_lock())
                       lock.unlock();
               }) == 0);
}

BOOST_AUTO_TEST_CASE(an_uncontended_semaphore_makes_none) {
    mp::Semaphore semaphore{2};
    BOOST_TEST(system_calls_of([&] {
                   semaphore.acquire();
                   semaphore.acquire();
                   semaphore.release(2);
                   static_cast<void>(semaphore.value());
               }) == 0);
}

BOOST_AUTO_TEST_CASE(the_other_locks_and_signals_make_none_when_nobody_waits) {
    mp::RLock recursive;
    mp::RWLock shared;
    mp::BoundedSemaphore bounded{1};
    mp::Event event;
    mp::Condition condition;
    BOOST_TEST(system_calls_of([&] {
                   recursive.lock();
                   recursive.lock();
                   recursive.unlock();
                   recursive.unlock();
                   shared.lock();
                   shared.unlock();
                   shared.lock_shared();
                   shared.unlock_shared();
                   bounded.acquire();
                   bounded.release();
                   event.set();
                   event.wait();
                   event.clear();
                   condition.notify_one();
                   condition.notify_all();
               }) == 0);
}

BOOST_AUTO_TEST_CASE(a_value_makes_none) {
    mp::Value<int> small{0};
    mp::Value<Wide> wide;
    BOOST_TEST(system_calls_of([&] {
                   small.value() += 1;
                   small.fetch_add(1);
                   small.update([](int& n) { ++n; });
                   wide.update([](Wide& w) { ++w.values[7]; });
                   static_cast<void>(wide.load());
               }) == 0);
}

BOOST_AUTO_TEST_CASE(a_queue_with_room_and_items_makes_none) {
    mp::Queue<Wide> queue{4};
    BOOST_TEST(system_calls_of([&] {
                   for (int i = 0; i < 4; ++i)
                       queue.put({});
                   BOOST_REQUIRE(!queue.try_put({}));
                   for (int i = 0; i < 4; ++i)
                       static_cast<void>(queue.get());
                   BOOST_REQUIRE(!queue.try_get());
               }) == 0);
}

BOOST_AUTO_TEST_CASE(a_queue_of_messages_makes_none_once_its_memory_is_warm) {
    mp::Queue<std::string> queue{4};
    BOOST_TEST(system_calls_of([&] {
                   queue.put("short");
                   queue.put(std::string(2000, 'x'));
                   static_cast<void>(queue.get());
                   static_cast<void>(queue.get());
               }) == 0);
}

BOOST_AUTO_TEST_CASE(named_objects_make_none) {
    auto lock = mp::Lock::open_or_create("system-calls-test");
    BOOST_TEST(system_calls_of([&] {
                   lock.lock();
                   lock.unlock();
               }) == 0);
}

BOOST_AUTO_TEST_CASE(contention_is_what_makes_a_system_call) {
    mp::Lock lock;
    lock.lock();
    BOOST_TEST(system_calls_of([&] {
                   static_cast<void>(lock.try_lock_for(std::chrono::milliseconds(5)));
               }) > 0);
}

BOOST_AUTO_TEST_SUITE_END()
