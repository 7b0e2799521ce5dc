#include <multifork/channel/queue.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/process/process.hpp>
#include <multifork/process/this_process.hpp>

#include "support/children.hpp"
#include "support/seccomp.hpp"

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

/// Lets this process reap the orphans of its children, and so see how they ended.
class Subreaper {
public:
    Subreaper() { prctl(PR_SET_CHILD_SUBREAPER, 1); }
    ~Subreaper() { prctl(PR_SET_CHILD_SUBREAPER, 0); }
    Subreaper(const Subreaper&) = delete;
    Subreaper& operator=(const Subreaper&) = delete;
    static int code_of(pid_t orphan) {
        int status = 0;
        while (waitpid(orphan, &status, 0) < 0) {
            if (errno != EINTR && errno != ECHILD) // not handed down to us yet
                return 999;
            std::this_thread::sleep_for(1ms);
        }
        return support::exit_code_of(status);
    }
};

/// A Process that starts a daemon and then does `then`. \return how the daemon ended
template <class Then>
int end_of_daemon(Then then, bool wait_for_daemon = true) {
    const Subreaper subreaper;
    mp::Value<int> daemon_pid;
    mp::Process parent{[&] {
        auto* daemon = new mp::Process{{.daemon = true}, [&] {
                                           daemon_pid.store(getpid());
                                           support::sleep_for_ever();
                                       }};
        daemon->start();
        if (wait_for_daemon)
            support::wait_until([&] { return daemon_pid.load() != 0; });
        else
            daemon_pid.store(daemon->pid().value());
        then();
    }};
    parent.start();
    parent.join();
    return Subreaper::code_of(daemon_pid.load());
}

/// Descriptors that send this process, or whoever else holds them, a signal.
int descriptors_with_a_signal() {
    int found = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
        found += (::fcntl(std::atoi(entry.path().filename().c_str()), F_GETFL) & O_ASYNC) != 0;
    return found;
}

} // namespace

BOOST_AUTO_TEST_SUITE(daemons)

// What ties a daemon to its parent is the daemon's alone: its own children let go of it.
BOOST_AUTO_TEST_CASE(its_children_do_not_hold_its_tie_to_its_parent) {
    mp::Process daemon{{.daemon = true}, [] {
                           support::demand(descriptors_with_a_signal() == 1);
                           mp::Process child{
                               [] { support::demand(descriptors_with_a_signal() == 0); }};
                           child.start();
                           child.join();
                           std::exit(child.exitcode().value());
                       }};
    daemon.start();
    support::expect_exit(daemon);
}

// A program that closes all its descriptors, as one does that goes into the background, has other
// files under those numbers afterwards.
BOOST_AUTO_TEST_CASE(a_program_that_has_closed_its_parents_ties_keeps_its_own_files) {
    mp::Process daemon{{.daemon = true}, [] { support::sleep_for_ever(); }};
    daemon.start();
    support::RawChild background([] {
        ::closefrom(3);
        while (::open("/dev/null", O_RDONLY | O_CLOEXEC) < 60) {
        }
        const std::size_t opened = support::open_descriptors();
        support::RawChild child([opened] { return support::open_descriptors() == opened ? 0 : 1; });
        return child.wait();
    });
    BOOST_TEST(background.wait() == 0);
    BOOST_TEST(daemon.is_alive());
}

// Where nothing can tie it to its parent, it does not run.
BOOST_AUTO_TEST_CASE(it_does_not_run_untied) {
    mp::Process crowded{[] {
        const auto start_daemon = [](int expected) {
            mp::Process daemon{{.daemon = true}, [] {}};
            daemon.start();
            daemon.join();
            support::demand(daemon.exitcode() == expected);
            support::demand(daemon.error().has_value() == (expected != 0));
        };
        start_daemon(0);
        support::refuse_call(SYS_openat, EMFILE);
        start_daemon(1);
    }};
    crowded.start();
    support::expect_exit(crowded);
}

BOOST_AUTO_TEST_CASE(the_destructor_terminates_it) {
    mp::Value<int> pid;
    {
        mp::Process child{{.daemon = true}, [&] {
                              pid.store(getpid());
                              support::sleep_for_ever();
                          }};
        child.start();
        support::wait_until([&] { return pid.load() != 0; });
    }
    BOOST_TEST(!support::runs(pid.load()));
}

BOOST_AUTO_TEST_CASE(the_destructor_terminates_one_that_has_hardly_begun) {
    for (int i = 0; i < 20; ++i) {
        mp::Process child{{.daemon = true}, support::sleep_for_ever};
        child.start();
    }
    BOOST_TEST(mp::active_children().empty());
}

BOOST_AUTO_TEST_CASE(it_knows_that_it_is_one) {
    BOOST_TEST(!mp::this_process::daemon());
    mp::Process child{[] { support::demand(mp::this_process::daemon()); }};
    child.set_daemon(true);
    BOOST_TEST(child.daemon());
    child.start();
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(it_can_be_joined_like_any_other) {
    mp::Process child{{.daemon = true}, [] { std::exit(4); }};
    child.start();
    support::expect_exit(child, 4);
}

BOOST_AUTO_TEST_CASE(it_dies_with_a_parent_that_is_killed) {
    BOOST_TEST(end_of_daemon([] { raise(SIGKILL); }) == -SIGKILL);
}

BOOST_AUTO_TEST_CASE(it_dies_with_a_parent_that_is_killed_before_it_has_begun) {
    for (int i = 0; i < 20; ++i)
        BOOST_TEST(end_of_daemon([] { raise(SIGKILL); }, false) == -SIGKILL);
}

BOOST_AUTO_TEST_CASE(it_dies_with_a_parent_that_exits_or_aborts) {
    BOOST_TEST(end_of_daemon([] {}) == -SIGKILL);
    BOOST_TEST(end_of_daemon([] { std::exit(1); }) == -SIGKILL);
    BOOST_TEST(end_of_daemon([] { _exit(1); }) == -SIGKILL);
    BOOST_TEST(end_of_daemon([] {
                   signal(SIGABRT, SIG_DFL);
                   std::abort();
               }) == -SIGKILL);
}

BOOST_AUTO_TEST_CASE(it_lives_on_when_the_thread_that_started_it_has_ended) {
    mp::Queue<int> to_child{1};
    mp::Queue<int> from_child{1};
    mp::Process child{{.daemon = true}, [&] {
                          for (const int i : to_child)
                              from_child.put(i + 1);
                      }};
    std::thread starter([&] { child.start(); });
    const pid_t starter_thread = child.ppid();
    starter.join();
    static_cast<void>(starter_thread);
    // A signal for the thread's death would be there by the first answer; two more for good
    // measure.
    for (int i = 0; i < 3; ++i) {
        to_child.put(i);
        BOOST_TEST(from_child.get() == i + 1);
        std::this_thread::sleep_for(5ms);
    }
    BOOST_TEST(child.is_alive());
    to_child.close();
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(siblings_do_not_keep_it_alive) {
    // The sibling inherits what the parent has open, and outlives it.
    const Subreaper subreaper;
    mp::Value<int> daemon_pid;
    mp::Value<int> sibling_pid;
    mp::Process parent{[&] {
        auto* daemon = new mp::Process{{.daemon = true}, support::sleep_for_ever};
        daemon->start();
        daemon_pid.store(daemon->pid().value());
        auto* sibling = new mp::Process{support::sleep_for_ever};
        sibling->start();
        sibling_pid.store(sibling->pid().value());
        raise(SIGKILL);
    }};
    parent.start();
    parent.join();
    BOOST_TEST(Subreaper::code_of(daemon_pid.load()) == -SIGKILL);
    BOOST_TEST(support::runs(sibling_pid.load()));
    kill(sibling_pid.load(), SIGKILL);
    BOOST_TEST(Subreaper::code_of(sibling_pid.load()) == -SIGKILL);
}

BOOST_AUTO_TEST_CASE(a_chain_of_daemons_dies_from_the_top) {
    const Subreaper subreaper;
    mp::Value<int> second_pid;
    mp::Process first{{.daemon = true}, [&] {
                          mp::Process second{{.daemon = true}, support::sleep_for_ever};
                          second.start();
                          second_pid.store(second.pid().value());
                          support::sleep_for_ever();
                      }};
    first.start();
    support::wait_until([&] { return second_pid.load() != 0; });
    first.kill();
    support::expect_exit(first, -SIGKILL);
    BOOST_TEST(Subreaper::code_of(second_pid.load()) == -SIGKILL);
}

BOOST_AUTO_TEST_CASE(one_that_ignores_sigterm_is_killed, *boost::unit_test::timeout(60)) {
    mp::Value<int> pid;
    {
        mp::Process child{{.daemon = true}, [&] {
                              signal(SIGTERM, SIG_IGN);
                              pid.store(getpid());
                              support::sleep_for_ever();
                          }};
        child.start();
        support::wait_until([&] { return pid.load() != 0; });
    }
    BOOST_TEST(!support::runs(pid.load()));
}

BOOST_AUTO_TEST_SUITE_END()
