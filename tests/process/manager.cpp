#include <multifork/multifork.hpp>

#include "process/served_counter.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <memory>
#include <new>
#include <ranges>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using support::Counter;
using support::counters;
using support::Gate;
using support::orderly;
using support::Own;
using support::Point;

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
        BOOST_TEST(orderly(manager) == 0);
        if (manager.exitcode() != 0)
            std::filesystem::remove(file); // it had no time to do so
        BOOST_TEST(!std::filesystem::exists(file));
        BOOST_CHECK_THROW(static_cast<void>(mp::Manager::connect(address, "key")), mp::Error);
    }
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
