#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <optional>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <openssl/crypto.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

struct Point {
    int x = 0;
    std::string name;
    bool operator==(const Point&) const = default;
};

/// An exception of the program's own.
struct Own : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Not safe between threads.
class Counter {
public:
    Counter() = default;
    explicit Counter(int start) : value_(start) {}
    Counter(const Counter&) = delete; // stays where it was made
    Counter& operator=(const Counter&) = delete;

    int add(int n) {
        const int before = value_;
        std::this_thread::yield();
        return value_ = before + n;
    }
    [[nodiscard]] int value() const noexcept { return value_; }
    void reset() noexcept { value_ = 0; }
    const int& reference() { return value_; }
    auto squares(int n) {
        return std::views::iota(0, n) | std::views::transform([](int x) { return x * x; });
    }
    Point move(const Point& point, double, const std::vector<int>& by) {
        return {point.x + by.at(0), point.name + "!"};
    }
    std::string_view describe(std::string_view prefix) {
        text_ = std::string(prefix) + std::to_string(value_);
        return text_;
    }
    int sum(std::span<const int> numbers) {
        int result = 0;
        for (const int n : numbers)
            result += n;
        return result;
    }
    void fail(int how) {
        switch (how) {
        case 0:
            throw std::out_of_range("too far");
        case 1:
            throw mp::InvalidArgument("what an argument");
        case 2:
            throw Own("of our own");
        case 3:
            throw 42;
        default:
            throw std::bad_alloc();
        }
    }
    int pid() { return ::getpid(); }

private:
    int value_ = 0;
    std::string text_;
};

/// Safe between threads: one call may wait for another.
struct Gate {
    std::atomic<bool> open{false};
    void pass() {
        while (!open)
            std::this_thread::sleep_for(1ms);
    }
    void let() { open = true; }
};

mp::Manager counters(mp::ManagerOptions options = {}) {
    mp::Manager manager{std::move(options)};
    manager.register_type<Counter>("Counter", [](int start) { return Counter(start); })
        .method("add", &Counter::add)
        .method("value", &Counter::value)
        .method("reset", &Counter::reset)
        .method("reference", &Counter::reference)
        .method("squares", &Counter::squares)
        .method("move", &Counter::move)
        .method("describe", &Counter::describe)
        .method("sum", &Counter::sum)
        .method("fail", &Counter::fail)
        .method("pid", &Counter::pid)
        .method("twice", [](Counter& c, int n) { return c.add(2 * n); });
    manager.register_type<Gate>("Gate")
        .method("pass", &Gate::pass)
        .method("let", &Gate::let)
        .concurrent();
    return manager;
}

int orderly(const mp::Manager& manager) {
    const int code = manager.exitcode().value();
    return code == -SIGTERM ? 0 : code;
}

} // namespace

BOOST_AUTO_TEST_SUITE(manager)

BOOST_AUTO_TEST_CASE(calls_with_arguments_and_results_of_all_kinds) {
    auto manager = counters();
    manager.start();
    const mp::Proxy counter = manager.create("Counter", 5);
    BOOST_TEST(counter.call<int>("pid") == manager.pid().value());
    BOOST_TEST(counter.call<int>("add", 3) == 8);
    BOOST_TEST(counter.call<int>("value") == 8);
    BOOST_TEST(counter.call<int>("reference") == 8);
    BOOST_TEST(counter.call<int>("twice", 1) == 10);
    counter.call("reset");
    BOOST_TEST(counter.call<int>("value") == 0);
    BOOST_TEST((counter.call<std::vector<int>>("squares", 5) == std::vector<int>{0, 1, 4, 9, 16}));
    BOOST_TEST(
        (counter.call<Point>("move", Point{1, "a"}, 2.5, std::vector<int>{7}) == Point{8, "a!"}));
    BOOST_TEST(counter.call<std::string>("describe", "value ") == "value 0");
    BOOST_TEST(counter.call<std::string>("describe", std::string_view("v")) == "v0");
    BOOST_TEST(counter.call<int>("sum", std::views::iota(1, 5)) == 10);
    const std::string long_text(3'000'000, 'x');
    BOOST_TEST(counter.call<std::string>("describe", long_text) == long_text + "0");
    BOOST_TEST(manager.create("Counter", 1).call<int>("value") == 1);
    BOOST_TEST(manager.objects() == 2u);
    manager.shutdown();
    BOOST_TEST(orderly(manager) == 0);
    manager.shutdown();
}

BOOST_AUTO_TEST_CASE(exceptions_arrive_as_what_they_were) {
    auto manager = counters();
    manager.register_exception<Own>();
    manager.start();
    const auto counter = manager.create("Counter", 0);
    try {
        counter.call("fail", 0);
        BOOST_ERROR("did not throw");
    } catch (const std::out_of_range& error) {
        BOOST_TEST(std::string(error.what()) == "too far");
        try {
            std::rethrow_if_nested(error);
            BOOST_ERROR("nothing remote is nested in it");
        } catch (const mp::RemoteError& remote) {
            BOOST_TEST(remote.type_name() == "std::out_of_range");
            BOOST_TEST(remote.text() == "too far");
            BOOST_TEST(remote.pid() == manager.pid().value());
        }
    }
    BOOST_CHECK_THROW(counter.call("fail", 1), mp::InvalidArgument);
    BOOST_CHECK_THROW(counter.call("fail", 2), Own);
    BOOST_CHECK_THROW(counter.call("fail", 4), std::bad_alloc);
    try {
        counter.call("fail", 3);
        BOOST_ERROR("did not throw");
    } catch (const mp::RemoteError& error) {
        BOOST_TEST(error.type_name() == "int");
    }
    BOOST_TEST(counter.call<int>("value") == 0); // and the server goes on
}

BOOST_AUTO_TEST_CASE(what_is_not_exposed_or_of_other_types_is_refused) {
    auto manager = counters();
    manager.start();
    const auto counter = manager.create("Counter", 0);
    using mp::RemoteError;
    support::expect_error<RemoteError>([&] { counter.call("explode"); }, {"explode", "exposed"});
    support::expect_error<RemoteError>([&] { static_cast<void>(manager.create("Bomb")); },
                                       {"'Bomb'", "registered"});
    support::expect_error<RemoteError>([&] { static_cast<void>(counter.call<int>("add", 1.0)); },
                                       {"int (int)", "int (double)"});
    support::expect_error<RemoteError>([&] { static_cast<void>(counter.call<long>("add", 1)); },
                                       {"long (int)"});
    support::expect_error<RemoteError>([&] { static_cast<void>(counter.call<int>("add")); },
                                       {"int ()"});
    support::expect_error<RemoteError>([&] { static_cast<void>(manager.create("Counter")); },
                                       {"void (int)"});
    const mp::Proxy nothing;
    support::expect_error<mp::InvalidArgument>([&] { nothing.call("add"); }, {"nothing"});
    counter.drop();
    support::expect_error<RemoteError>([&] { counter.call("reset"); }, {"dropped"});
    BOOST_TEST(manager.objects() == 0u);
}

BOOST_AUTO_TEST_CASE(a_manager_against_its_rules) {
    auto manager = counters();
    support::expect_error<mp::Error>([&] { static_cast<void>(manager.create("Counter", 1)); },
                                     {"start()"});
    BOOST_CHECK_THROW(manager.register_type<Gate>("Gate"), mp::InvalidArgument);
    BOOST_CHECK_THROW(mp::Manager({.authkey = ""}), mp::InvalidArgument);
    manager.start();
    support::expect_error<mp::Error>([&] { manager.start(); }, {"already"});
    support::expect_error<mp::Error>([&] { manager.register_type<Gate>("Late"); }, {"after start"});
    support::run_in_child(
        [&] { support::demand(support::throws<mp::Error>([&] { manager.shutdown(); })); });
    auto second = mp::Manager({.address = manager.address()});
    support::expect_error<mp::Error>([&] { second.start(); }, {"did not start", "in use"});
    const auto moved = std::move(manager);
    BOOST_TEST(moved.objects() == 0u);
    support::expect_error<mp::InvalidArgument>([&] { manager.start(); }, {"moved"}); // NOLINT
}

BOOST_AUTO_TEST_CASE(one_call_at_a_time_unless_the_type_says_otherwise) {
    auto manager = counters();
    manager.start();
    const auto counter = manager.create("Counter", 0);
    const auto gate = manager.create("Gate");
    std::vector<mp::Process> children;
    for (int i = 0; i < 3; ++i) {
        children.emplace_back([&] {
            std::thread other([&] {
                for (int n = 0; n < 300; ++n)
                    static_cast<void>(counter.call<int>("add", 1));
            });
            for (int n = 0; n < 300; ++n)
                static_cast<void>(counter.call<int>("add", 1));
            other.join();
            gate.call("pass");
        });
        children.back().start();
    }
    support::wait_until([&] { return counter.call<int>("value") == 1800; });
    gate.call("let");
    for (mp::Process& child : children)
        support::expect_exit(child);
    BOOST_TEST(counter.call<int>("value") == 1800);
}

BOOST_AUTO_TEST_CASE(a_proxy_travels) {
    auto manager = counters();
    manager.start();
    mp::Queue<mp::Proxy> queue{1};
    mp::Process child{[&] {
        const auto counter = queue.get();
        support::demand(counter.call<int>("add", 1) == 8);
    }};
    child.start();
    const auto counter = manager.create("Counter", 7);
    queue.put(counter);
    support::expect_exit(child);
    BOOST_TEST(counter.call<int>("value") == 8);
    queue.put(counter);
    BOOST_TEST((queue.get() == counter));
}

BOOST_AUTO_TEST_CASE(at_a_file_and_at_a_port) {
    const auto file = std::filesystem::temp_directory_path() /
                      ("multifork-manager-" + std::to_string(::getpid()));
    for (const mp::Address& address : {mp::Address(file.string()), mp::Address("127.0.0.1", 0)}) {
        auto manager = counters({.address = address, .authkey = "key"});
        manager.start();
        auto there = mp::Manager::connect(manager.address(), "key");
        BOOST_TEST(there.create("Counter", 3).call<int>("value") == 3);
        BOOST_CHECK_THROW(there.shutdown(), mp::Error);
        BOOST_CHECK_THROW(static_cast<void>(mp::Manager::connect(manager.address(), "other")),
                          mp::AuthenticationError);
        manager.shutdown();
        BOOST_TEST(manager.exitcode().value() == 0);
        BOOST_TEST(!std::filesystem::exists(file));
        BOOST_CHECK_THROW(static_cast<void>(mp::Manager::connect(address, "key")), mp::Error);
    }
}

BOOST_AUTO_TEST_CASE(garbage_and_silence_harm_nobody) {
    auto manager = counters();
    manager.start();
    const auto counter = manager.create("Counter", 0);
    std::vector<mp::Connection<>> strangers;
    for (const std::string_view words :
         {std::string_view(""), std::string_view("GET / HTTP/1.1\r\n\r\n"),
          std::string_view("\x7f\xff\xff\xff"), std::string_view("\0\0\0\x05xx", 6)}) {
        for (int i = 0; i < 20; ++i) {
            strangers.push_back(mp::Client(manager.address()));
            static_cast<void>(
                !::send(strangers.back().fileno(), words.data(), words.size(), MSG_NOSIGNAL));
        }
    }
    // Those who know the key may speak garbage, too.
    for (const std::string_view words : {"", "x", "\x02", "\x02 a long message that is no call"}) {
        auto known = mp::Client(manager.address(), {.authkey = manager.authkey()});
        known.send_bytes(words);
        static_cast<void>(known.recv_bytes()); // an error, in words
    }
    BOOST_TEST(counter.call<int>("add", 1) == 1);
    BOOST_TEST(manager.objects() == 1u);
}

BOOST_AUTO_TEST_CASE(callers_that_are_killed_harm_nobody) {
    auto manager = counters();
    manager.start();
    const auto counter = manager.create("Counter", 0);
    const auto gate = manager.create("Gate");
    for (int i = 0; i < support::scaled(20); ++i) {
        mp::Process calls{[&] {
            for (;;)
                static_cast<void>(counter.call<int>("add", 1));
        }};
        mp::Process waits{[&] { gate.call("pass"); }};
        calls.start();
        waits.start();
        const int before = counter.call<int>("value");
        support::wait_until([&] { return counter.call<int>("value") > before; });
        support::wait_until_asleep(waits.pid().value());
        calls.kill();
        waits.kill();
        calls.join();
        waits.join();
    }
    gate.call("let");
    gate.call("pass");
    manager.shutdown();
    BOOST_TEST(orderly(manager) == 0);
}

mp::Value<int>* taken_apart = nullptr;

// Threads of a server end when their process does, and may be in OpenSSL then.
BOOST_AUTO_TEST_CASE(exit_leaves_what_threads_use) {
    auto manager = counters();
    manager.start();
    mp::Value<int> count{0};
    mp::Process caller{[&] {
        static_cast<void>(mp::Client(manager.address(), {.authkey = manager.authkey()}));
        taken_apart = &count;
        BOOST_TEST(::OPENSSL_atexit([] { taken_apart->fetch_add(1); }) == 1);
    }};
    caller.start();
    caller.join();
    BOOST_TEST(caller.exitcode().value() == 0);
    BOOST_TEST(count.load() == 0);
}

BOOST_AUTO_TEST_CASE(a_server_that_is_killed_is_an_error_not_a_hang) {
    auto manager = counters();
    manager.start();
    const auto counter = manager.create("Counter", 0);
    const auto gate = manager.create("Gate");
    std::atomic<int> tid{0};
    std::thread waiter([&] {
        static_cast<void>(counter.call<int>("value")); // this thread is connected
        tid = ::gettid();
        BOOST_TEST(support::throws<mp::EndOfStream>([&] { gate.call("pass"); }));
    });
    support::wait_until([&] { return tid != 0; });
    support::wait_until_asleep(tid);
    ::kill(manager.pid().value(), SIGKILL);
    waiter.join();
    BOOST_CHECK_THROW(counter.call("reset"), mp::EndOfStream);
    BOOST_CHECK_THROW(counter.call("reset"), mp::Error); // nobody listens
    manager.shutdown();
    BOOST_TEST(manager.exitcode().value() == -SIGKILL);
}

BOOST_AUTO_TEST_CASE(shutdown_in_the_middle_of_a_call) {
    auto manager = counters();
    manager.start();
    ::kill(manager.pid().value(), SIGINT); // Ctrl-C is not meant for it
    BOOST_TEST(manager.objects() == 0u);
    const auto gate = manager.create("Gate");
    std::atomic<int> tid{0};
    std::thread waiter([&] {
        static_cast<void>(manager.objects()); // this thread is connected
        tid = ::gettid();
        BOOST_TEST(support::throws<mp::EndOfStream>([&] { gate.call("pass"); }));
    });
    support::wait_until([&] { return tid != 0; });
    support::wait_until_asleep(tid);
    manager.shutdown();
    waiter.join();
    BOOST_TEST(orderly(manager) == 0);
}

BOOST_AUTO_TEST_CASE(leaving_the_scope_ends_it_also_in_many_threads_and_children) {
    int pid = 0;
    {
        auto manager = counters();
        manager.start();
        pid = manager.pid().value();
        support::run_in_child([&] {
            support::demand(manager.create("Counter", 1).call<int>("value") == 1);
        }); // whose copy of the manager goes with it, and ends nothing
        BOOST_TEST(manager.objects() == 1u);
    }
    BOOST_TEST(!support::runs(pid));
}

// One that all who ask for it share.
BOOST_AUTO_TEST_CASE(a_factory_may_give_the_same_object_each_time) {
    mp::Manager manager;
    const auto one = std::make_shared<Counter>(40);
    manager.register_type<Counter>("the_counter", [one] { return one; })
        .method("add", &Counter::add);
    manager.start();
    const auto a = manager.create("the_counter");
    const auto b = manager.create("the_counter");
    BOOST_TEST((a == b));
    static_cast<void>(a.call<int>("add", 1));
    BOOST_TEST(b.call<int>("add", 1) == 42);
    BOOST_TEST(one->value() == 40); // the server has a copy of its own
    a.drop();
    BOOST_TEST(b.call<int>("add", 1) == 43);
    b.drop();
    BOOST_TEST(manager.objects() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
