#include "platform/robust_list.hpp"

#include <multifork/multifork.hpp>

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <mutex>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mp = multifork;

namespace {

/// A child that no library function knows of: neither pthread_atfork nor the C library runs.
template <class Function>
pid_t clone_raw(Function child) {
    const auto pid = static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    if (pid == 0) {
        child();
        _exit(0);
    }
    return pid;
}

} // namespace

BOOST_AUTO_TEST_SUITE(raw_clone)

BOOST_AUTO_TEST_CASE(child_locks_under_its_own_name) {
    mp::Lock lock;
    const std::scoped_lock hold(lock); // so this thread is attached, and its child is not
    const pid_t child = clone_raw([&] {
        if (lock.try_lock() || lock.owner()->pid == getpid())
            _exit(1);
    });
    int status = -1;
    waitpid(child, &status, 0);
    BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_CASE(owner_that_is_killed_is_seen_to_be_dead) {
    mp::Lock lock;
    waitpid(clone_raw([&] {
                lock.lock();
                raise(SIGKILL);
            }),
            nullptr, 0);
    BOOST_CHECK_THROW(lock.lock(), mp::OwnerDied);
    BOOST_TEST(lock.recover());
}

BOOST_AUTO_TEST_CASE(killed_child_leaves_its_parents_robust_list_in_order) {
    mp::Lock lock;
    lock.lock();
    lock.unlock();
    waitpid(clone_raw([&] {
                lock.lock();
                raise(SIGKILL);
            }),
            nullptr, 0);
    mp::liveness::detach_this_thread();
    const auto* const head = mp::platform::own_robust_head();
    BOOST_TEST(head->list == static_cast<const void*>(&head->list)); // empty
}

BOOST_AUTO_TEST_SUITE_END()
