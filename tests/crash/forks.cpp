#include "crash/harness/crash_test.hpp"
#include "support/leftovers.hpp"

#include <multifork/arena/object.hpp>
#include <multifork/channel/pipe.hpp>
#include <multifork/channel/queue.hpp>
#include <multifork/channel/waitable.hpp>
#include <multifork/liveness/domain.hpp>
#include <multifork/process/process.hpp>
#include <multifork/sync/lock.hpp>

#include <atomic>
#include <csignal>
#include <functional>
#include <iostream>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

// A process forks while its other threads hold the library's own mutexes. The child has none of
// those threads; it must find the mutexes free, and what they protect whole.

using namespace multifork;
using namespace multifork::test;
using namespace multifork::test::crash;
using mutants::Mutant;

namespace {

using Act = std::function<void()>;

/// Waits for a child's end. \return false when it hangs, and kills it then
bool ends(pid_t child) {
    int status = 0;
    if (await([&] { return ::waitpid(child, &status, WNOHANG) == child; }))
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    return false;
}

/// Two threads do `act` all the time, and so does each child, once. \return the children that came
/// to a bad end; it stops at the first one
int bad_ends(const Act& act, int forks) {
    act();
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i)
        threads.emplace_back([&] {
            while (!stop)
                act();
        });
    std::cout.flush();
    int bad = 0;
    for (int i = 0; i < forks && bad == 0; ++i) {
        const pid_t child = ::fork();
        if (child < 0)
            throw Failure("no process"); // and none to kill: -1 would mean all
        if (child == 0) {
            try {
                act();
            } catch (...) {
                ::_exit(1);
            }
            ::_exit(0);
        }
        bad += ends(child) ? 0 : 1;
    }
    stop = true;
    for (std::thread& thread : threads)
        thread.join();
    // A child that was the last to have a named object open ended by _exit(), and left its file.
    arena::remove_stale();
    return bad;
}

void expect_free(const Act& act) {
    BOOST_TEST(bad_ends(act, 200) == 0);
}
void expect_caught(const Act& act, Mutant mutant) {
    mutants::active = mutant;
    const int bad = bad_ends(act, 150'000);
    mutants::active = Mutant::none;
    BOOST_TEST(bad == 1, "a child has found the mutex free each time");
}

void use_named() {
    // In the child too: under one name for each thread of each process.
    thread_local const std::string name = unique_name("fork");
    static_cast<void>(Queue<int>::open_or_create(name + std::to_string(::getpid()), 1));
}
void use_pipes() {
    static_cast<void>(Pipe<int>());
}
void use_slots() {
    const Lock attaches;
    liveness::detach_this_thread();
}
void use_names() {
    const Process named{[] {}};
}
void use_children() {
    static_cast<void>(active_children());
}

const Queue<int>& watched() {
    static const Queue<int> queue{1};
    return queue;
}
void use_lookouts() {
    const Readiness ready{watched()};
}

} // namespace

BOOST_AUTO_TEST_SUITE(forks)

#define MULTIFORK_FORK_TEST(name, act, mutant)                                                     \
    BOOST_AUTO_TEST_CASE(name##_works_in_a_child, *ut::label("fast")) {                            \
        expect_free(act);                                                                          \
    }                                                                                              \
    BOOST_AUTO_TEST_CASE(mutant##_is_caught, *ut::label("full") * ut::timeout(300)) {              \
        expect_caught(act, Mutant::mutant);                                                        \
    }

MULTIFORK_FORK_TEST(making_named_objects, use_named, named_unheld)
MULTIFORK_FORK_TEST(making_pipes, use_pipes, pipe_ends_unheld)
MULTIFORK_FORK_TEST(taking_slots, use_slots, domains_unheld)
MULTIFORK_FORK_TEST(naming_processes, use_names, self_unheld)
MULTIFORK_FORK_TEST(asking_for_children, use_children, children_unheld)
MULTIFORK_FORK_TEST(watching, use_lookouts, lookouts_unheld)

BOOST_AUTO_TEST_SUITE_END()
