#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(listener)

BOOST_AUTO_TEST_CASE(the_family_follows_from_the_address) {
    using Family = mp::Address::Family;
    BOOST_TEST((mp::Address("/tmp/x").family() == Family::unix_socket));
    BOOST_TEST((mp::Address("localhost", 80).family() == Family::tcp));
    BOOST_TEST(mp::Address("localhost", 80).to_string() == "localhost:80");
    BOOST_TEST(mp::Address("::1", 80).to_string() == "[::1]:80");
    BOOST_TEST(mp::Address(std::string("\0name", 5)).to_string() == "@name");
    BOOST_TEST((mp::Address::any() != mp::Address::any()));
}

BOOST_AUTO_TEST_CASE(a_free_port_and_who_came) {
    mp::Listener listener{{"127.0.0.1", 0}};
    BOOST_TEST(listener.address().port() != 0);
    BOOST_TEST(!listener.last_accepted().has_value());
    auto client = mp::Client<int>(listener.address());
    auto server = listener.accept<int>();
    BOOST_REQUIRE(listener.last_accepted().has_value());
    BOOST_TEST(listener.last_accepted()->name() == "127.0.0.1");
    BOOST_TEST(listener.last_accepted()->port() != 0);
    BOOST_TEST(listener.to_string() ==
               fmt::format("<Listener at 127.0.0.1:{}, open>", listener.address().port()));
}

// What the kernel takes as a client's name, and an Address does not.
BOOST_AUTO_TEST_CASE(clients_with_odd_names) {
    const std::string file = fmt::format("\\\\multifork-{}", ::getpid());
    BOOST_TEST_REQUIRE(::chdir(std::filesystem::temp_directory_path().c_str()) == 0);
    std::filesystem::remove(file);
    mp::Listener listener;
    for (const std::string& name :
         {std::string(sizeof(sockaddr_un::sun_path), '\0'), std::string(1, '\0'), file + '\0'}) {
        const auto bytes_of = [](sockaddr_un& at, const std::string& text) {
            at.sun_family = AF_UNIX;
            std::memcpy(at.sun_path, text.data(), text.size());
            return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size());
        };
        const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un own{};
        const socklen_t own_bytes = bytes_of(own, name);
        int bound = -1;
        support::wait_until([&] { // another run may have the name at this moment
            bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&own), own_bytes);
            return bound == 0 || errno != EADDRINUSE;
        });
        BOOST_TEST(bound == 0);
        sockaddr_un there{};
        const socklen_t there_bytes = bytes_of(there, listener.address().name());
        BOOST_TEST_REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&there), there_bytes) ==
                           0);
        auto client = mp::connection_from<int>(fd);
        auto server = listener.accept<int>();
        BOOST_TEST(!listener.last_accepted().has_value());
        client.send(1);
        BOOST_TEST(server.recv() == 1);
    }
    BOOST_TEST(std::filesystem::remove(file));
}

// (UBSan needs a descriptor of its own to look whether it may read an object.)
BOOST_AUTO_TEST_CASE(who_finds_no_descriptor_left_waits_in_the_backlog,
                     *boost::unit_test::label("no_asan")) {
    support::run_in_child([] {
        mp::Listener listener;
        auto client = mp::Client<int>(listener.address());
        const rlimit few{256, 256};
        support::demand(::setrlimit(RLIMIT_NOFILE, &few) == 0);
        std::vector<int> all;
        for (int fd = 0; (fd = ::dup(STDERR_FILENO)) >= 0;)
            all.push_back(fd);
        for (int left = 0; left < 2; ++left) {
            support::demand(
                support::throws<mp::Error>([&] { static_cast<void>(listener.accept<int>()); }));
            ::close(all.back());
            all.pop_back();
        }
        auto server = listener.accept<int>();
        client.send(1);
        support::demand(server.recv() == 1);
        for (const int fd : all)
            ::close(fd);
    });
}

BOOST_AUTO_TEST_CASE(accept_has_a_time) {
    mp::Listener listener;
    BOOST_TEST(!listener.try_accept_for(0s).has_value());
    const auto begin = std::chrono::steady_clock::now();
    BOOST_TEST(!listener.try_accept_for(20ms).has_value());
    BOOST_TEST((std::chrono::steady_clock::now() - begin >= 20ms));
    auto client = mp::Client<int>(listener.address());
    BOOST_TEST((mp::wait({listener}, 20s) == std::vector<std::size_t>{0}));
    BOOST_TEST(listener.try_accept_for<int>(20s).has_value());
}

BOOST_AUTO_TEST_CASE(close_ends_accept_and_recv_of_other_threads) {
    mp::Listener listener;
    auto client = mp::Client<int>(listener.address());
    auto server = listener.accept<int>();
    std::atomic<int> ended{0};
    std::thread accepting([&] {
        try {
            static_cast<void>(listener.accept());
        } catch (const mp::ConnectionClosed&) {
            ++ended;
        }
    });
    std::thread receiving([&] {
        try {
            static_cast<void>(server.recv());
        } catch (const mp::ConnectionClosed&) {
            ++ended;
        }
    });
    std::this_thread::sleep_for(10ms);
    listener.close();
    server.close();
    accepting.join();
    receiving.join();
    BOOST_TEST(ended == 2);
    BOOST_CHECK_THROW(static_cast<void>(client.recv()), mp::EndOfStream);
}

BOOST_AUTO_TEST_CASE(close_ends_wait_of_another_thread) {
    mp::Listener listener;
    auto client = mp::Client<int>(listener.address());
    auto server = listener.accept<int>();
    const std::vector<mp::Waitable> all{server};
    std::thread waiting([&] {
        try {
            BOOST_TEST((mp::wait(all) == std::vector<std::size_t>{0}));
        } catch (const mp::ConnectionClosed&) { // closed before the wait began
        }
    });
    std::this_thread::sleep_for(10ms);
    server.close();
    waiting.join();
    BOOST_CHECK_THROW(static_cast<void>(mp::wait(all)), mp::ConnectionClosed);
    BOOST_CHECK_THROW(static_cast<void>(client.recv()),
                      mp::EndOfStream); // a Waitable keeps nothing
}

BOOST_AUTO_TEST_CASE(nobody_listens) {
    support::expect_error<mp::Error>([] { static_cast<void>(mp::Client("/nowhere/at/all")); },
                                     {"connecting to", "nobody listens"});
    BOOST_CHECK_THROW(static_cast<void>(mp::Client({"host.invalid", 1})), mp::Error);
}

BOOST_AUTO_TEST_CASE(connecting_to_a_full_backlog_has_a_time) {
    mp::Listener listener{mp::Address::any(), {.backlog = 1}};
    std::vector<mp::Connection<int>> waiting;
    bool full = false;
    while (!full) {
        try {
            waiting.push_back(mp::Client<int>(listener.address(), {.handshake = 20ms}));
        } catch (const mp::Error& error) {
            full = true;
            BOOST_TEST((error.code() == std::errc::timed_out));
        }
    }
    BOOST_TEST(!waiting.empty());
    std::thread late([&] {
        const auto connection = mp::Client<int>(listener.address(), {.handshake = 24h});
        waiting.push_back(connection);
    });
    const auto accepted = listener.accept<int>();
    late.join();
    waiting.back().send(1); // it blocks as before
}

BOOST_AUTO_TEST_CASE(nothing_stays_open) {
    const mp::Queue<int> first{1}; // makes the arena, which has a descriptor
    const auto before = support::open_descriptors();
    for (int i = 0; i < 10; ++i) {
        mp::Listener listener;
        auto client = mp::Client<int>(listener.address());
        auto server = listener.accept<int>();
        client.send(1);
        BOOST_TEST(server.recv() == 1);
    }
    BOOST_TEST(support::open_descriptors() == before);
}

BOOST_AUTO_TEST_SUITE_END()
