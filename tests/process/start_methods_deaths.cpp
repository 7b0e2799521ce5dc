#include <multifork/multifork.hpp>

#include "platform/system.hpp"
#include "process/fork_server.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/start_methods.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

// Deaths around start(): of the child before it has begun, of the parent, and of the fork server.

namespace {

using std::chrono::microseconds;

[[noreturn]] void sleep_for_ever() {
    for (;;)
        ::pause();
}

void pass(microseconds time) {
    const auto until = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < until) {
    }
}

/// Moments in a start: from before the child's first instruction to after its target began.
class Moments {
public:
    explicit Moments(const mp::Context& context)
        : most_(context.start_method() == mp::StartMethod::spawn ? 20'000 : 2'000) {}
    microseconds next() {
        // As many early ones as late ones, whatever the machine's speed.
        const int range = most_ >> std::uniform_int_distribution(0, 5)(random_);
        return microseconds(std::uniform_int_distribution(0, range)(random_));
    }

private:
    int most_;
    std::minstd_rand random_{42};
};

/// Waits until all is back, at most for as long as a child that never came to be is given the
/// benefit of the doubt (see Heap::is_gone).
bool blocks_come_back_to(std::uint64_t before) {
    const auto until = std::chrono::steady_clock::now() + 15s;
    for (;;) {
        mp::arena::tree_space().sweep();
        if (mp::arena::arena_usage().blocks_used == before)
            return true;
        if (std::chrono::steady_clock::now() > until)
            return false;
        std::this_thread::sleep_for(10ms);
    }
}

/// Lets this process reap the orphans of its children, and so see how they ended.
class Subreaper {
public:
    Subreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, 1); }
    ~Subreaper() { ::prctl(PR_SET_CHILD_SUBREAPER, 0); }
    Subreaper(const Subreaper&) = delete;
    Subreaper& operator=(const Subreaper&) = delete;
    static int code_of(pid_t orphan) {
        int status = 0;
        while (::waitpid(orphan, &status, 0) < 0) {
            if (errno != EINTR && errno != ECHILD) // not handed down to us yet
                return 999;
            std::this_thread::sleep_for(1ms);
        }
        return support::exit_code_of(status);
    }
    /// The watchdog ends a wait in vain.
    static void reap_all() {
        while (::waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
        }
    }
};

using Ends = mp::Connection<std::string>;

void hold_all(mp::Queue<std::string> queue, mp::Lock lock, Ends end) {
    const std::scoped_lock hold(lock);
    queue.put(std::string(1000, 'x'));
    end.send("here");
    sleep_for_ever();
}

} // namespace

BOOST_AUTO_TEST_SUITE(start_methods_deaths, *boost::unit_test::timeout(120))

MULTIFORK_EACH_START_METHOD(a_child_that_is_killed_at_any_moment_of_its_start) {
    support::run_in_child(context, [] {}); // what is made once is made
    const auto before = mp::arena::arena_usage().blocks_used;
    const auto descriptors = support::open_descriptors();
    Moments moments(context);
    int begun = 0;
    const int rounds = support::scaled(60);
    for (int i = 0; i < rounds; ++i) {
        mp::Queue<std::string> queue{2};
        const mp::Lock lock;
        auto [reader, writer] = mp::Pipe<std::string>(false);
        mp::Process child = context.process(hold_all, queue, lock, writer);
        child.start();
        writer.close();
        pass(moments.next());
        child.kill();
        support::expect_exit(child, -SIGKILL);
        // Its end of the pipe is nobody's, whether it had it already or not.
        try {
            BOOST_TEST(reader.recv() == "here");
            ++begun;
            BOOST_CHECK_THROW(static_cast<void>(reader.recv()), mp::EndOfStream);
        } catch (const mp::EndOfStream&) {
        }
    }
    BOOST_TEST_MESSAGE(begun << " of " << rounds << " had begun");
    BOOST_TEST(blocks_come_back_to(before));
    BOOST_TEST(support::open_descriptors() == descriptors);
    support::run_in_child(context, [] {});
}

MULTIFORK_EACH_START_METHOD(an_end_that_its_child_never_had_ends_the_stream) {
    for (int i = 0; i < 10; ++i) {
        auto [reader, writer] = mp::Pipe<std::string>(false);
        mp::Process child = context.process([](const Ends&) { sleep_for_ever(); }, writer);
        child.start();
        writer.close();
        BOOST_TEST(!reader.ended());
        child.kill(); // in a spawned child, before its loader is done
        BOOST_CHECK_THROW(static_cast<void>(reader.recv()), mp::EndOfStream);
        support::expect_exit(child, -SIGKILL);
    }
}

MULTIFORK_EACH_START_METHOD(a_parent_that_is_killed_at_any_moment_while_it_starts_daemons) {
    support::run_in_child(context, [] {});
    const auto before = mp::arena::arena_usage().blocks_used;
    const Subreaper subreaper;
    Moments moments(context);
    for (int i = 0; i < support::scaled(20); ++i) {
        const mp::Event reached;
        support::RawChild parent([&] {
            mp::Event(reached).set();
            for (int started = 0; started < 500; ++started) { // there is room for some thousands
                const mp::Lock own;
                auto* const child = new mp::Process(context.process(
                    {.daemon = true}, [](const mp::Lock&) { sleep_for_ever(); }, own));
                child->start();
            }
            sleep_for_ever();
            return 0;
        });
        mp::Event(reached).wait();
        pass(moments.next() + (i % 2 == 0 ? 10ms : 0ms));
        parent.kill();
        BOOST_TEST(parent.wait() == -SIGKILL);
        if (context.start_method() != mp::StartMethod::forkserver)
            Subreaper::reap_all(); // all of them end
    }
    if (context.start_method() == mp::StartMethod::forkserver) {
        mp::detail::stop_fork_server(); // our own, which would not end by itself
        Subreaper::reap_all();
    }
    BOOST_TEST(blocks_come_back_to(before));
}

MULTIFORK_EACH_START_METHOD(a_daemon_dies_with_a_parent_that_is_killed) {
    const Subreaper subreaper;
    mp::Queue<int> pids{1};
    support::RawChild parent([&] {
        mp::Process daemon = context.process(
            {.daemon = true},
            [](mp::Queue<int> tell) {
                tell.put(mp::this_process::pid());
                sleep_for_ever();
            },
            pids);
        daemon.start();
        sleep_for_ever();
        return 0;
    });
    const int pid = pids.get();
    BOOST_TEST(support::runs(pid));
    parent.kill();
    BOOST_TEST(parent.wait() == -SIGKILL);
    BOOST_TEST(Subreaper::code_of(pid) == -SIGKILL);
    Subreaper::reap_all(); // its fork server ends too
}

// What the parent made is there for the child, by the order that it left.
MULTIFORK_EACH_START_METHOD(a_child_outlives_a_parent_that_is_killed_right_after_start) {
    const Subreaper subreaper;
    mp::Queue<std::string> results{1};
    for (int i = 0; i < 5; ++i) {
        mp::Value<int> pid{0};
        support::RawChild parent([&] {
            mp::Queue<std::string> own{1};
            own.put("from a parent that is no more");
            const mp::Lock lock;
            mp::Process child = context.process(
                [](mp::Queue<std::string> in, mp::Lock l, mp::Queue<std::string> out) {
                    const std::scoped_lock hold(l);
                    out.put(in.get());
                },
                own, lock, results);
            child.start();
            pid.store(child.pid().value());
            ::raise(SIGKILL);
            return 0;
        });
        BOOST_TEST(parent.wait() == -SIGKILL);
        BOOST_TEST(results.get() == "from a parent that is no more");
        BOOST_TEST(Subreaper::code_of(pid.load()) == 0);
        Subreaper::reap_all();
    }
}

// At whatever moment the server dies, start() makes a child, with another server if need be, and
// each child keeps its exit code.
BOOST_AUTO_TEST_CASE(a_fork_server_that_is_killed_at_any_moment) {
    const support::ServerStops at_the_end;
    const auto context = mp::get_context("forkserver");
    support::run_in_child(context, [] {});
    const auto before = mp::arena::arena_usage().blocks_used;
    Moments moments(context);
    int servers = 1;
    int last = mp::detail::fork_server_pid();
    for (int i = 0; i < support::scaled(60); ++i) {
        const int server = mp::detail::fork_server_pid();
        servers += server != last;
        last = server;
        std::jthread killer;
        if (server != 0) {
            // By descriptor: it cannot come to mean another process.
            auto victim =
                std::make_shared<mp::platform::Descriptor>(mp::platform::open_pidfd(server));
            killer = std::jthread([victim, time = moments.next()] {
                pass(time);
                ::syscall(SYS_pidfd_send_signal, victim->get(), SIGKILL, nullptr, 0);
            });
        }
        mp::Process child = context.process([](int code) { std::exit(code); }, i % 7);
        child.start();
        support::expect_exit(child, i % 7);
    }
    BOOST_TEST(servers > 1);
    mp::detail::stop_fork_server();
    support::run_in_child(context, [] {});
    BOOST_TEST(blocks_come_back_to(before));
}

// Signals for a whole process group, as the terminal's Ctrl-C, do not end the server.
BOOST_AUTO_TEST_CASE(children_of_the_server_have_their_own_way_with_an_interrupt) {
    const support::ServerStops at_the_end;
    mp::Process child = mp::get_context("forkserver").process(sleep_for_ever);
    child.start();
    const int server = mp::detail::fork_server_pid();
    ::kill(server, SIGINT);
    child.interrupt();
    support::expect_exit(child, -SIGINT);
    BOOST_TEST(mp::detail::fork_server_pid() == server);
}

BOOST_AUTO_TEST_SUITE_END()
