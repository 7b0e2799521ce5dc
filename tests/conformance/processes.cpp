#include <multifork/channel/queue.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/error.hpp>
#include <multifork/process/cpu_count.hpp>
#include <multifork/process/process.hpp>
#include <multifork/process/this_process.hpp>

#include "support/children.hpp"
#include "support/program.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

// What Python's test suite asks of multiprocessing.Process. Each case carries the number of its row
// in the project's table of CPython behaviours.

namespace {

bool is_active(const mp::ProcessHandle& child) {
    const auto active = mp::active_children();
    return std::any_of(active.begin(), active.end(),
                       [&](const auto& other) { return other.pid() == child.pid(); });
}

void sleep_100_s() {
    std::this_thread::sleep_for(100s);
}

template <class T>
T echoed(const T& argument) {
    mp::Queue<T> queue{1};
    mp::Process child{[](mp::Queue<T> out, T value) { out.put(value); }, queue, argument};
    child.start();
    T back = queue.get();
    support::expect_exit(child);
    return back;
}

long thread_id() {
    return syscall(SYS_gettid);
}

/// P-008 and P-009: a child that sleeps is ended by `end`.
template <class End>
void ended_by(End end, int code) {
    mp::Process child{{.daemon = true}, sleep_100_s};
    BOOST_TEST(!child.is_alive());
    BOOST_TEST(!is_active(child));
    BOOST_TEST(!child.exitcode().has_value());
    child.start();
    BOOST_TEST(child.is_alive());
    BOOST_TEST(is_active(child));
    BOOST_TEST(!child.exitcode().has_value());
    BOOST_TEST(!child.try_join_for(0s));
    BOOST_TEST(!child.try_join_for(-1s));
    BOOST_TEST(child.is_alive());
    end(child);
    child.join();
    BOOST_TEST(child.exitcode().value() == code);
    BOOST_TEST(!child.is_alive());
    BOOST_TEST(!is_active(child));
    child.join();
}

class UpperCaser : public mp::Process {
public:
    UpperCaser() : Process(mp::ProcessOptions{}) {}
    std::string submit(const std::string& text) {
        questions_.put(text);
        return answers_.get();
    }
    void stop() { questions_.put(""); }

protected:
    void run() override {
        for (std::string text = questions_.get(); !text.empty(); text = questions_.get()) {
            for (char& c : text)
                c = static_cast<char>(std::toupper(c));
            answers_.put(text);
        }
    }

private:
    mp::Queue<std::string> questions_{1};
    mp::Queue<std::string> answers_{1};
};

const support::Program closed_output{"closed-output", [] {
                                         const std::string which = std::getenv("CLOSED");
                                         const bool by_child = std::getenv("BY_CHILD") != nullptr;
                                         const auto close_it = [&] {
                                             if (which == "fd1")
                                                 close(1);
                                             else if (which == "fd2")
                                                 close(2);
                                             else if (which == "stdout")
                                                 std::fclose(stdout);
                                             else
                                                 std::fclose(stderr);
                                         };
                                         mp::Value<int> ran;
                                         mp::Process child{[&] {
                                             if (by_child) {
                                                 std::printf("something to flush");
                                                 close_it();
                                             }
                                             ran.store(1);
                                         }};
                                         if (!by_child)
                                             close_it();
                                         child.start();
                                         child.join();
                                         return child.exitcode() == 0 && ran.load() == 1 ? 0 : 1;
                                     }};

const support::Program no_stdin{
    "no-stdin", [] {
        close(0);
        mp::Process child{[] {
            mp::Queue<int> queue{1};
            mp::Process grandchild{{.daemon = true}, [&] { support::demand(!queue.try_get()); }};
            grandchild.start();
            grandchild.join();
            support::demand(grandchild.exitcode() == 0);
        }};
        child.start();
        child.join();
        return child.exitcode().value();
    }};

} // namespace

BOOST_AUTO_TEST_SUITE(processes)

// No authkey: there are no connections yet that it would guard.
BOOST_AUTO_TEST_CASE(P_001_the_main_process_about_itself) {
    BOOST_TEST(mp::this_process::pid() == getpid());
    BOOST_TEST(!mp::this_process::daemon());
    BOOST_TEST(mp::this_process::name() == "MainProcess");
    BOOST_TEST(mp::this_process::to_string().find("started") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(P_002_arguments_arrive_unchanged) {
    BOOST_TEST(echoed(1) == 1);
    BOOST_TEST(echoed(std::string("str")) == "str");
    BOOST_TEST((echoed(std::vector<int>{1}) == std::vector<int>{1}));
    BOOST_TEST((echoed(std::tuple<int>{1}) == std::tuple<int>{1}));
}

BOOST_AUTO_TEST_CASE(P_004_parent_process) {
    BOOST_TEST(!mp::this_process::parent().has_value());
    mp::Queue<std::tuple<int, std::string>> queue{1};
    mp::Process child{[&] {
        const auto parent = mp::this_process::parent();
        queue.put({parent->pid, parent->name});
    }};
    child.start();
    BOOST_TEST((queue.get() == std::tuple{getpid(), mp::this_process::name()}));
    support::expect_exit(child);
}

// Named arguments travel as a map; no authkey yet.
BOOST_AUTO_TEST_CASE(P_006_process) {
    using Seen = std::tuple<int, int, std::map<std::string, double>, std::string, int>;
    mp::Queue<Seen> seen{1};
    mp::Process child{
        {.name = "SomeProcess", .daemon = true},
        [&](int a, int b, const std::map<std::string, double>& named) {
            seen.put({a, b, named, mp::this_process::name(), mp::this_process::pid()});
        },
        1,
        2,
        std::map<std::string, double>{{"hello", 23}, {"bye", 2.54}}};
    BOOST_TEST(!child.is_alive());
    BOOST_TEST(child.daemon());
    BOOST_TEST(mp::active_children().empty());
    BOOST_TEST(!child.exitcode().has_value());
    child.start();
    BOOST_TEST((child.is_alive() || child.exitcode().has_value()));
    const Seen got = seen.get();
    BOOST_TEST(
        (got == Seen{1, 2, {{"hello", 23}, {"bye", 2.54}}, "SomeProcess", child.pid().value()}));
    child.join();
    BOOST_TEST(child.exitcode().value() == 0);
    BOOST_TEST(!child.is_alive());
    BOOST_TEST(!is_active(child));
}

BOOST_AUTO_TEST_CASE(P_007_the_childs_main_thread_has_an_id_of_its_own) {
    mp::Lock lock;
    lock.lock(); // this thread is known to the library
    lock.unlock();
    mp::Value<long> id;
    mp::Value<int> owner;
    support::run_in_child([&] {
        const std::scoped_lock hold{lock};
        id.store(thread_id());
        owner.store(lock.owner()->pid);
    });
    BOOST_TEST(id.load() != thread_id());
    BOOST_TEST(owner.load() == id.load());
}

BOOST_AUTO_TEST_CASE(P_008_terminate) {
    ended_by([](mp::Process& p) { p.terminate(); }, -SIGTERM);
}

BOOST_AUTO_TEST_CASE(P_009_kill) {
    ended_by([](mp::Process& p) { p.kill(); }, -SIGKILL);
}

BOOST_AUTO_TEST_CASE(P_010_cpu_count) {
    BOOST_TEST(mp::cpu_count() >= 1);
}

BOOST_AUTO_TEST_CASE(P_011_active_children) {
    mp::Process child{{.daemon = true}, [] { std::this_thread::sleep_for(100ms); }};
    BOOST_TEST(!is_active(child));
    child.start();
    BOOST_TEST(is_active(child));
    child.join();
    BOOST_TEST(!is_active(child));
}

// A queue instead of a pipe.
BOOST_AUTO_TEST_CASE(P_012_recursion) {
    using Id = std::vector<int>;
    mp::Queue<Id> queue{16};
    std::function<void(Id)> visit = [&](Id id) {
        queue.put(id);
        if (id.size() >= 2)
            return;
        for (int i = 0; i < 2; ++i) {
            Id next = id;
            next.push_back(i);
            mp::Process child{[&] { visit(next); }};
            child.start();
            child.join();
        }
    };
    visit({});
    queue.close();
    std::vector<Id> order;
    for (const Id& id : queue)
        order.push_back(id);
    BOOST_TEST((order == std::vector<Id>{{}, {0}, {0, 0}, {0, 1}, {1}, {1, 0}, {1, 1}}));
}

BOOST_AUTO_TEST_CASE(P_014_close) {
    const std::size_t descriptors = support::open_descriptors();
    {
        mp::Queue<int> gate{1};
        mp::Process child{[&] { static_cast<void>(gate.get()); }};
        child.start();
        BOOST_CHECK_THROW(child.close(), mp::ProcessError);
        BOOST_TEST(child.is_alive());
        gate.put(1);
        support::expect_exit(child);
        child.close();
        BOOST_CHECK_THROW(static_cast<void>(child.is_alive()), mp::ProcessError);
        BOOST_CHECK_THROW(child.join(), mp::ProcessError);
        BOOST_CHECK_THROW(child.terminate(), mp::ProcessError);
        child.close();
    }
    // The arena's own descriptor came with the first object.
    BOOST_TEST(support::open_descriptors() <= descriptors + 1);
}

BOOST_AUTO_TEST_CASE(P_015_many_processes) {
    const int many = support::scaled(100);
    std::vector<mp::Process> children;
    for (int i = 0; i < many; ++i)
        children.emplace_back([] { std::this_thread::sleep_for(10ms); });
    for (mp::Process& child : children)
        child.start();
    for (mp::Process& child : children)
        support::expect_exit(child);
    children.clear();
    for (int i = 0; i < many; ++i)
        children.emplace_back(sleep_100_s);
    for (mp::Process& child : children)
        child.start();
    std::this_thread::sleep_for(1ms);
    for (mp::Process& child : children)
        child.terminate();
    for (mp::Process& child : children)
        support::expect_exit(child, -SIGTERM);
}

BOOST_AUTO_TEST_CASE(P_018_a_parent_without_stdout_or_stderr) {
    for (const char* closed : {"fd1", "fd2", "stdout", "stderr"})
        BOOST_TEST(support::run_program("closed-output", {{"CLOSED", closed}}).code == 0, closed);
}

BOOST_AUTO_TEST_CASE(P_019_a_child_that_closes_stdout_or_stderr) {
    for (const char* closed : {"fd1", "fd2", "stdout", "stderr"})
        BOOST_TEST(
            support::run_program("closed-output", {{"CLOSED", closed}, {"BY_CHILD", "1"}}).code ==
                0,
            closed);
}

// Queues instead of a pipe.
BOOST_AUTO_TEST_CASE(P_020_subclassing) {
    UpperCaser upper;
    upper.set_daemon(true);
    upper.start();
    BOOST_TEST(upper.submit("hello") == "HELLO");
    BOOST_TEST(upper.submit("world") == "WORLD");
    upper.stop();
    support::expect_exit(upper);
}

// C++ knows no place of the throw.
BOOST_AUTO_TEST_CASE(P_021_the_report_of_an_exception_is_complete_when_join_returns) {
    std::FILE* const file = std::tmpfile();
    mp::Process child{{.name = "reporter"}, [file] {
                          dup2(fileno(file), STDERR_FILENO);
                          throw std::invalid_argument("not a number");
                      }};
    child.start();
    child.join();
    BOOST_TEST(child.exitcode().value() == 1);
    std::rewind(file);
    std::array<char, 1000> buffer{};
    const std::string text(buffer.data(), std::fread(buffer.data(), 1, buffer.size(), file));
    std::fclose(file);
    for (const char* word : {"reporter", "std::invalid_argument", "not a number"})
        BOOST_TEST((text.find(word) != text.npos), text << " lacks " << word);
}

BOOST_AUTO_TEST_CASE(P_024_exit_handlers_registered_in_the_child_run) {
    static mp::Value<unsigned> written;
    static const int parent = getpid();
    std::atexit([] {
        if (getpid() != parent)
            written.store(1); // inherited: must not run
    });
    support::run_in_child([] { std::atexit([] { written.store(0xdeadbeef); }); });
    BOOST_TEST(written.load() == 0xdeadbeefU);
}

BOOST_AUTO_TEST_CASE(P_025_a_queue_and_a_grandchild_without_stdin) {
    BOOST_TEST(support::run_program("no-stdin").code == 0);
}

// The registry of fork handlers is the C library's; a doubling would show as a doubling of the time
// and of the descriptors and blocks that each generation adds.
BOOST_AUTO_TEST_CASE(T_014_nothing_doubles_over_generations) {
    mp::Queue<std::size_t> descriptors{8};
    mp::Queue<std::uint64_t> blocks{8};
    std::function<void(int)> generation = [&](int depth) {
        descriptors.put(support::open_descriptors());
        blocks.put(mp::arena::arena_usage().blocks_used);
        if (depth == 0)
            return;
        mp::Process child{[&] { generation(depth - 1); }};
        child.start();
        child.join();
        support::demand(child.exitcode() == 0);
    };
    support::run_in_child([&] { generation(5); });
    const std::size_t first_descriptors = descriptors.get();
    const std::uint64_t first_blocks = blocks.get();
    for (std::size_t i = 1; i <= 5; ++i) {
        BOOST_TEST(descriptors.get() <=
                   first_descriptors + 2 * i);        // its pidfd, at most a pipe's end
        BOOST_TEST(blocks.get() <= first_blocks + i); // its board
    }
}

BOOST_AUTO_TEST_SUITE_END()
