#include <multifork/multifork.hpp>

#include "process/served_counter.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <string_view>
#include <thread>
#include <vector>

#include <netinet/in.h>
#include <openssl/crypto.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using support::counters;
using support::orderly;

namespace {

void expect_that_silent_strangers_shut_nobody_out(int count, rlim_t servers_descriptors) {
    rlimit own{};
    BOOST_TEST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &own) == 0);
    const rlimit few{servers_descriptors, own.rlim_max};
    BOOST_TEST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    auto manager = counters({.address = {"127.0.0.1", 0}});
    manager.start();
    BOOST_TEST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &own) == 0);
    sockaddr_in there{};
    there.sin_family = AF_INET;
    there.sin_port = ::htons(manager.address().port());
    there.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    std::vector<int> strangers;
    for (int i = 0; i < count; ++i) {
        strangers.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        BOOST_TEST_REQUIRE(::connect(strangers.back(), reinterpret_cast<const sockaddr*>(&there),
                                     sizeof there) == 0);
    }
    // Long before the strangers' own time is over.
    BOOST_CHECK_NO_THROW(static_cast<void>(mp::Client(
        manager.address(), {.authkey = manager.authkey(), .handshake = std::chrono::seconds(10)})));
    for (const int stranger : strangers)
        ::close(stranger);
}

} // namespace

// Callers that speak nonsense, callers and servers that are killed, and orderly ends.
BOOST_AUTO_TEST_SUITE(manager)

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

BOOST_AUTO_TEST_CASE(many_silent_strangers_shut_nobody_out) {
    expect_that_silent_strangers_shut_nobody_out(300, 512);
}
// UBSan needs a descriptor to look at a type: without one it takes a good object for a bad one.
BOOST_AUTO_TEST_CASE(silent_strangers_with_all_descriptors_shut_nobody_out,
                     *boost::unit_test::label("no_asan")) {
    expect_that_silent_strangers_shut_nobody_out(150, 256);
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

BOOST_AUTO_TEST_CASE(a_stopped_server_with_a_full_backlog_is_ended) {
    auto manager = counters();
    manager.start();
    const int pid = manager.pid().value();
    ::kill(pid, SIGSTOP);
    support::wait_until([&] { return support::state_of(pid) == 'T'; });
    std::vector<mp::Connection<>> waiting;
    BOOST_TEST(support::throws<mp::Error>([&] {
        for (;;)
            waiting.push_back(
                mp::Client(manager.address(), {.handshake = std::chrono::milliseconds(20)}));
    }));
    manager.shutdown();
    BOOST_TEST(manager.exitcode().value() == -SIGKILL);
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

BOOST_AUTO_TEST_SUITE_END()
