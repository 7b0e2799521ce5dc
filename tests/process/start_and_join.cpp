#include <multifork/channel/queue.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/process/process.hpp>
#include <multifork/process/this_process.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

class Worker : public mp::Process {
public:
    explicit Worker(mp::Value<int> result) : Process({.name = "worker"}), result_(result) {}

protected:
    void run() override { result_.store(getpid()); }

private:
    mp::Value<int> result_;
};

struct Method {
    int base;
    void call(mp::Value<int>& out, int plus) const { out.store(base + plus); }
};

} // namespace

BOOST_AUTO_TEST_SUITE(start_and_join)

BOOST_AUTO_TEST_CASE(nothing_is_known_before_start_and_all_after_join) {
    mp::Value<int> seen;
    mp::Process child{[&] { seen.store(getpid()); }};
    BOOST_TEST(!child.pid().has_value());
    BOOST_TEST(!child.exitcode().has_value());
    BOOST_TEST(!child.is_alive());
    BOOST_TEST(!child.error().has_value());
    BOOST_TEST(child.ppid() == getpid());
    child.start();
    BOOST_TEST(child.pid().has_value());
    child.join();
    child.join(); // again is no error
    BOOST_TEST(child.exitcode().value() == 0);
    BOOST_TEST(!child.is_alive());
    BOOST_TEST(seen.load() == child.pid().value());
    BOOST_TEST(seen.load() != getpid());
}

BOOST_AUTO_TEST_CASE(a_default_constructed_process_does_nothing_well) {
    mp::Process child;
    child.start();
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(targets_of_every_callable_kind) {
    mp::Value<int> out;
    const auto run = [&](mp::Process child, int expected) {
        child.start();
        support::expect_exit(child);
        BOOST_TEST(out.load() == expected);
    };
    run(mp::Process{[&] { out.store(1); }}, 1);
    run(mp::Process{[](mp::Value<int> v, int n) { v.store(n); }, out, 2}, 2);
    run(mp::Process{&Method::call, Method{40}, std::ref(out), 2}, 42);
    run(mp::Process{std::function<void(int)>([&](int n) { out.store(n); }), 5}, 5);
    run(mp::Process{{.name = "named"},
                    [&](const std::string& s) { out.store(int(s.size())); },
                    "seven..."},
        8);
}

BOOST_AUTO_TEST_CASE(arguments_that_can_only_be_moved) {
    mp::Value<int> out;
    mp::Process child{[&, owned = std::make_unique<int>(7)](std::unique_ptr<int> argument,
                                                            std::vector<std::string> texts) {
                          out.store(*owned + *argument + int(texts.size()));
                      },
                      std::make_unique<int>(20), std::vector<std::string>{"a", "b"}};
    child.start();
    support::expect_exit(child);
    BOOST_TEST(out.load() == 29);
}

BOOST_AUTO_TEST_CASE(a_subclass_overrides_run) {
    mp::Value<int> result;
    Worker worker{result};
    worker.start();
    support::expect_exit(worker);
    BOOST_TEST(result.load() == worker.pid().value());
}

BOOST_AUTO_TEST_CASE(the_child_sees_memory_as_it_was_at_start) {
    int number = 1;
    mp::Value<int> seen;
    mp::Process child{[&] { seen.store(number); }};
    number = 2;
    child.start();
    number = 3;
    support::expect_exit(child);
    BOOST_TEST(seen.load() == 2);
}

BOOST_AUTO_TEST_CASE(moved_processes_keep_their_child) {
    mp::Value<int> out;
    std::vector<mp::Process> children;
    for (int i = 0; i < 10; ++i) {
        mp::Process child{[&, i] { out.fetch_add(1 << i); }};
        if (i % 2 == 0)
            child.start();
        children.push_back(std::move(child)); // grows: moves the running ones
    }
    for (std::size_t i = 1; i < children.size(); i += 2)
        children[i].start();
    for (mp::Process& child : children)
        support::expect_exit(child);
    BOOST_TEST(out.load() == 1023);
}

BOOST_AUTO_TEST_CASE(assignment_joins_what_was_there) {
    mp::Value<int> done;
    mp::Process child{[&] {
        std::this_thread::sleep_for(20ms);
        done.store(1);
    }};
    child.start();
    child = mp::Process{[] {}};
    BOOST_TEST(done.load() == 1);
    child.start();
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(the_destructor_joins) {
    mp::Value<int> done;
    {
        mp::Process child{[&] {
            std::this_thread::sleep_for(20ms);
            done.store(1);
        }};
        child.start();
    }
    BOOST_TEST(done.load() == 1);
}

BOOST_AUTO_TEST_CASE(try_join_for_waits_as_long_as_it_is_told) {
    mp::Process child{support::sleep_for_ever};
    child.start();
    BOOST_TEST(!child.try_join_for(0s));
    BOOST_TEST(!child.try_join_for(-1h));
    BOOST_TEST(!child.try_join_for(std::chrono::hours::min()));
    const auto begin = std::chrono::steady_clock::now();
    BOOST_TEST(!child.try_join_for(20ms));
    BOOST_TEST((std::chrono::steady_clock::now() - begin >= 20ms));
    BOOST_TEST(child.is_alive());
    child.kill();
    BOOST_TEST(child.try_join_for(std::chrono::hours::max()));
    BOOST_TEST(child.try_join_for(0s));
}

BOOST_AUTO_TEST_CASE(signals_end_with_their_negative_number) {
    const auto ends_with = [](int code, auto signal) {
        mp::Process child{support::sleep_for_ever};
        child.start();
        signal(child);
        support::expect_exit(child, code);
    };
    ends_with(-SIGTERM, [](mp::Process& p) { p.terminate(); });
    ends_with(-SIGKILL, [](mp::Process& p) { p.kill(); });
    ends_with(-SIGINT, [](mp::Process& p) { p.interrupt(); });
    ends_with(-SIGKILL, [](mp::Process& p) {
        p.kill();
        p.kill();
        p.terminate();
    });
}

BOOST_AUTO_TEST_CASE(signals_to_a_child_that_has_ended_do_nothing) {
    mp::Process child{[] {}};
    child.start();
    child.join();
    child.terminate();
    child.kill();
    child.interrupt();
    BOOST_TEST(child.exitcode().value() == 0);
}

BOOST_AUTO_TEST_CASE(sentinel_becomes_readable_at_the_end) {
    mp::Queue<int> gate{1};
    mp::Process child{[&] { static_cast<void>(gate.get()); }};
    child.start();
    pollfd end{child.sentinel(), POLLIN, 0};
    BOOST_TEST(poll(&end, 1, 20) == 0);
    gate.put(1);
    BOOST_TEST(poll(&end, 1, -1) == 1);
    support::expect_exit(child);
    BOOST_TEST(poll(&end, 1, 0) == 1); // and stays so
}

BOOST_AUTO_TEST_CASE(several_threads_join_the_same_child) {
    mp::Queue<int> gate{1};
    mp::Process child{[&] {
        static_cast<void>(gate.get());
        std::exit(7);
    }};
    child.start();
    std::vector<std::thread> threads;
    std::atomic<int> right{0};
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&, handle = mp::ProcessHandle(child)] {
            handle.join();
            right += handle.exitcode() == 7;
        });
    gate.put(1);
    for (std::thread& thread : threads)
        thread.join();
    BOOST_TEST(right == 4);
}

BOOST_AUTO_TEST_CASE(handles_outlive_the_process_object) {
    std::optional<mp::ProcessHandle> handle;
    {
        mp::Process child{{.name = "gone"}, [] { std::exit(3); }};
        handle = child;
        child.start();
    }
    BOOST_TEST(handle->exitcode().value() == 3);
    BOOST_TEST(handle->name() == "gone");
}

BOOST_AUTO_TEST_CASE(a_child_of_a_child_of_a_child) {
    mp::Value<int> deepest;
    std::function<void(int)> descend = [&](int depth) {
        if (depth == 0) {
            deepest.store(getpid());
            return;
        }
        mp::Process child{[&] { descend(depth - 1); }};
        child.start();
        child.join();
        support::demand(child.exitcode() == 0);
    };
    support::run_in_child([&] { descend(4); });
    BOOST_TEST(deepest.load() > 0);
}

// As on a kernel without pidfds: then the parent looks for the end again and again.
// UBSan wants a descriptor to look at objects.
BOOST_AUTO_TEST_CASE(a_child_is_joined_without_a_descriptor_too,
                     *boost::unit_test::label("no_asan")) {
    const mp::Value<int> arena_is_made;
    rlimit before{};
    BOOST_TEST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const int next = ::dup(STDIN_FILENO);
    BOOST_TEST_REQUIRE(next >= 0);
    ::close(next);
    const rlimit none{static_cast<rlim_t>(next), before.rlim_max};
    mp::Value<int> go{0};
    mp::Process child{[&] {
        while (go.load() == 0)
            std::this_thread::yield();
        std::exit(3);
    }};
    BOOST_TEST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    child.start();
    const bool without =
        support::throws<mp::ProcessError>([&] { static_cast<void>(child.sentinel()); });
    const bool early = child.try_join_for(5ms);
    go.store(1);
    child.join();
    ::setrlimit(RLIMIT_NOFILE, &before);
    BOOST_TEST(without);
    BOOST_TEST(!early);
    BOOST_TEST(child.exitcode().value() == 3);
}

BOOST_AUTO_TEST_SUITE_END()
