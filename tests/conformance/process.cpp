#include <multifork/multifork.hpp>

#include "start_methods.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

[[nodiscard]] bool is_active(const mp::ProcessHandle& process) {
    const auto active = mp::active_children();
    return std::any_of(active.begin(), active.end(),
                       [&](const auto& child) { return child.pid() == process.pid(); });
}

void sleep_until_a_signal() {
    for (;;)
        ::pause();
}

/// A daemon that waits, ended by `end`, shows `code`.
void expect_end_by(const mp::Context& context, void (mp::ProcessHandle::*end)() const, int code) {
    const mp::Event in_user_code;
    mp::Process child = context.process(
        {.daemon = true},
        [](mp::Event reached) {
            reached.set();
            sleep_until_a_signal();
        },
        in_user_code);
    BOOST_TEST(!is_active(child));
    child.start();
    BOOST_TEST(child.is_alive());
    BOOST_TEST(is_active(child));
    BOOST_TEST(!child.exitcode().has_value());
    BOOST_TEST(!child.try_join_for(0s));
    BOOST_TEST(!child.try_join_for(-1s));
    BOOST_TEST(child.is_alive());
    in_user_code.wait();
    support::wait_until_asleep(child.pid().value());

    (child.*end)();
    child.join();
    BOOST_TEST(child.exitcode().value() == code);
    BOOST_TEST(!child.is_alive());
    BOOST_TEST(!is_active(child));
    child.join();
}

/// Sends its id, then starts and joins two children in turn, two levels deep.
void recurse(mp::StartMethod method, mp::Queue<std::vector<int>> out, const std::vector<int>& id) {
    out.put(id);
    if (id.size() == 2)
        return;
    for (int i = 0; i < 2; ++i) {
        std::vector<int> next = id;
        next.push_back(i);
        mp::Process child{{.start_method = method}, recurse, method, out, next};
        child.start();
        support::demand((child.join(), child.exitcode() == 0));
    }
}

/// Says how many descriptors it has, and starts the next of `left` generations.
void generation(mp::StartMethod method, mp::Queue<int> descriptors, int left) {
    support::demand(mp::active_children().empty());
    descriptors.put(static_cast<int>(support::open_descriptors()));
    if (left == 1)
        return;
    mp::Process child{{.start_method = method}, generation, method, descriptors, left - 1};
    child.start();
    child.join();
    support::demand(child.exitcode() == 0);
}

} // namespace

BOOST_AUTO_TEST_SUITE(process, *boost::unit_test::timeout(60))

// The calling process is a namespace here, not an object: it has no exit code, and is alive.
BOOST_AUTO_TEST_CASE(P_001_the_main_process) {
    BOOST_TEST(mp::this_process::pid() == ::getpid());
    BOOST_TEST(mp::this_process::ppid() == ::getppid());
    BOOST_TEST(!mp::this_process::daemon());
    BOOST_TEST(mp::this_process::name() == "MainProcess");
    BOOST_TEST(mp::this_process::to_string().find("started") != std::string::npos);
    BOOST_TEST(mp::this_process::authkey().size() == 32u);
    BOOST_TEST(mp::this_process::authkey() == mp::this_process::authkey());
}

MULTIFORK_EACH_START_METHOD(P_002_arguments_arrive_unchanged) {
    using Echo = mp::Queue<std::tuple<int, std::string, std::vector<int>, int>>;
    Echo echo{1};
    const auto target = [](Echo back, int n, const std::string& s, const std::vector<int>& v,
                           std::tuple<int> t) {
        back.put({n, s, v, std::get<0>(t)});
    };
    mp::Process child = context.process(target, echo, 1, std::string("text"), std::vector<int>{7},
                                        std::tuple<int>{9});
    child.start();
    const auto [n, s, v, t] = echo.get();
    BOOST_TEST(n == 1);
    BOOST_TEST(s == "text");
    BOOST_TEST(v == std::vector<int>{7}, boost::test_tools::per_element());
    BOOST_TEST(t == 9);
    support::expect_exit(child);
}

MULTIFORK_EACH_START_METHOD(P_004_the_parent_process) {
    BOOST_TEST(!mp::this_process::parent().has_value());
    auto [reader, writer] = mp::Pipe<std::tuple<int, std::string>>(false);
    support::run_in_child(
        context,
        [](mp::Connection<std::tuple<int, std::string>> tell) {
            const auto parent = mp::this_process::parent();
            support::demand(parent.value().pid == ::getppid());
            tell.send({parent.value().pid, parent.value().name});
        },
        writer);
    const auto [pid, name] = reader.recv();
    BOOST_TEST(pid == ::getpid());
    BOOST_TEST(name == mp::this_process::name());
}

// No keyword arguments: the named values are ordinary arguments. No attribute of a Process has the
// key: a child has that of its parent.
MULTIFORK_EACH_START_METHOD(P_006_attributes_before_and_after_start) {
    using Seen = mp::Queue<std::tuple<int, int, int, double, std::string, int, std::string>>;
    Seen seen{1};
    mp::Event may_end;
    const auto target = [](Seen tell, mp::Event end, int a, int b, int hello, double bye) {
        tell.put({a, b, hello, bye, mp::this_process::name(), mp::this_process::pid(),
                  mp::this_process::authkey()});
        end.wait();
    };
    mp::Process child = context.process({.name = "SomeProcess", .daemon = true}, target, seen,
                                        may_end, 1, 2, 23, 2.54);
    BOOST_TEST(!child.is_alive());
    BOOST_TEST(child.daemon());
    BOOST_TEST(!is_active(child));
    BOOST_TEST(!child.exitcode().has_value());
    BOOST_TEST(!child.pid().has_value());

    child.start();
    BOOST_TEST(child.is_alive());
    BOOST_TEST(!child.exitcode().has_value());
    BOOST_TEST(is_active(child));
    const auto [a, b, hello, bye, name, pid, key] = seen.get();
    BOOST_TEST(a == 1);
    BOOST_TEST(b == 2);
    BOOST_TEST(hello == 23);
    BOOST_TEST(bye == 2.54);
    BOOST_TEST(name == "SomeProcess");
    BOOST_TEST(pid == child.pid().value());
    BOOST_TEST((key == mp::this_process::authkey()));

    may_end.set();
    child.join();
    BOOST_TEST(child.exitcode().value() == 0);
    BOOST_TEST(!child.is_alive());
    BOOST_TEST(!is_active(child));
}

// What the library may keep across a fork is who the calling thread is: a lock shows it.
MULTIFORK_EACH_START_METHOD(P_007_a_child_acts_under_its_own_id) {
    mp::Lock lock;
    const mp::Value<int> holder{0};
    lock.lock(); // the library knows this thread now
    lock.unlock();
    mp::Process child = context.process(
        [](mp::Lock shared, mp::Value<int> tell) {
            const std::scoped_lock hold{shared};
            support::demand(::gettid() == ::getpid());
            tell.store(shared.owner().value().pid);
        },
        lock, holder);
    child.start();
    support::expect_exit(child);
    BOOST_TEST(holder.load() == child.pid().value());
    BOOST_TEST(holder.load() != ::getpid());
}

MULTIFORK_EACH_START_METHOD(P_008_terminate) {
    expect_end_by(context, &mp::ProcessHandle::terminate, -SIGTERM);
}

MULTIFORK_EACH_START_METHOD(P_009_kill) {
    expect_end_by(context, &mp::ProcessHandle::kill, -SIGKILL);
}

BOOST_AUTO_TEST_CASE(P_010_cpu_count) {
    BOOST_TEST(mp::cpu_count() >= 1);
}

MULTIFORK_EACH_START_METHOD(P_011_active_children) {
    BOOST_TEST(mp::active_children().empty());
    mp::Event may_end;
    mp::Process child = context.process(
        {.daemon = true}, [](mp::Event end) { end.wait(); }, may_end);
    BOOST_TEST(mp::active_children().empty());
    child.start();
    BOOST_TEST(mp::active_children().size() == 1u);
    BOOST_TEST(is_active(child));
    may_end.set();
    child.join();
    BOOST_TEST(mp::active_children().empty());
}

MULTIFORK_EACH_START_METHOD(P_012_children_of_children_in_depth_first_order) {
    mp::Queue<std::vector<int>> out{7};
    recurse(context.start_method(), out, {});
    const std::vector<std::vector<int>> expected{{}, {0}, {0, 0}, {0, 1}, {1}, {1, 0}, {1, 1}};
    for (const auto& id : expected)
        BOOST_TEST((out.try_get() == id));
    BOOST_TEST(out.empty());
}

MULTIFORK_EACH_START_METHOD(P_014_close) {
    support::run_in_child(context, [] {}); // the arena and the fork server are there now
    const auto descriptors = support::open_descriptors();
    const auto blocks = mp::arena::arena_usage().blocks_used;
    auto kept = std::make_shared<int>(7); // what the target holds
    const std::weak_ptr<int> watched = kept;
    {
        mp::Queue<int> go{1};
        mp::Process child = context.process(
            [](mp::Queue<int> gate, const std::shared_ptr<int>& held) {
                support::demand(*held == 7);
                static_cast<void>(gate.get());
            },
            go, kept);
        kept.reset();
        child.start();
        BOOST_TEST(child.is_alive());
        support::expect_error<mp::ProcessError>([&] { child.close(); },
                                                {"still running", "join()"});
        BOOST_TEST(child.is_alive());

        go.put(1);
        child.join();
        BOOST_TEST(child.exitcode().value() == 0);
        child.close();
        for (const auto& call :
             std::vector<std::function<void()>>{[&] { static_cast<void>(child.is_alive()); },
                                                [&] { child.join(); }, [&] { child.terminate(); }})
            support::expect_error<mp::ProcessError>(call, {"closed"});
        child.close();
    }
    BOOST_TEST(watched.expired());
    BOOST_TEST(support::open_descriptors() == descriptors);
    BOOST_TEST(mp::arena::arena_usage().blocks_used == blocks);
}

// Five with spawn in Python; here ten.
MULTIFORK_EACH_START_METHOD(P_015_a_hundred_children) {
    const int many = support::scaled(context.start_method() == mp::StartMethod::spawn ? 10 : 100);
    std::vector<mp::Process> quick;
    for (int i = 0; i < many; ++i)
        quick.push_back(context.process([] { std::this_thread::sleep_for(10ms); }));
    for (auto& child : quick)
        child.start();
    for (auto& child : quick)
        support::expect_exit(child);

    std::vector<mp::Process> slow;
    for (int i = 0; i < many; ++i)
        slow.push_back(context.process(sleep_until_a_signal));
    for (auto& child : slow)
        child.start();
    for (auto& child : slow)
        child.terminate(); // the last ones before they are in user code
    for (auto& child : slow)
        support::expect_exit(child, -SIGTERM);
}

// The library's handlers of fork() are made once, with the arena: what could pile up from one
// generation to the next is what a child inherits about its parent's children.
MULTIFORK_EACH_START_METHOD(T_014_nothing_piles_up_over_five_generations) {
    mp::Queue<int> descriptors{5};
    support::run_in_child(context, generation, context.start_method(), descriptors, 5);
    const int first = descriptors.get();
    for (int i = 0; i < 4; ++i)
        BOOST_TEST(descriptors.get() <= first);
}

BOOST_AUTO_TEST_SUITE_END()
