#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "unit/raw_peer.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

using Bytes = std::vector<std::byte>;

} // namespace

// Messages through sockets: in pieces, cut off, without an end.
BOOST_AUTO_TEST_SUITE(socket_messages)

BOOST_AUTO_TEST_CASE(messages_of_all_sizes_through_a_socket) {
    mp::Listener listener{{"127.0.0.1", 0}};
    mp::Process echo{[&] {
        auto connection = mp::Client(listener.address());
        while (auto bytes = connection.try_recv_bytes_for(24h))
            connection.send_bytes(*bytes);
    }};
    echo.start();
    auto connection = listener.accept();
    for (const std::size_t size : {0u, 1u, 4u, 1000u, 70'000u, 5'000'000u}) {
        const Bytes bytes(size, std::byte{42});
        connection.send_bytes(bytes);
        BOOST_TEST((connection.recv_bytes() == bytes));
    }
    BOOST_TEST(!connection.poll(5ms));
    BOOST_TEST(!connection.try_recv_bytes().has_value());
    connection.close();
    support::expect_exit(echo);
}

BOOST_AUTO_TEST_CASE(poll_and_wait_are_true_at_the_end_of_the_stream) {
    for (const mp::Address& address : {mp::Address::any(), mp::Address{"127.0.0.1", 0}}) {
        mp::Listener listener{address};
        auto client = mp::Client<int>(listener.address());
        auto server = listener.accept<int>();
        client.send(1);
        client.close();
        BOOST_TEST(server.poll(24h));
        BOOST_TEST(!server.ended());
        BOOST_TEST(server.recv() == 1);
        BOOST_TEST(server.poll(24h));
        BOOST_TEST(server.poll());
        BOOST_TEST(server.ended());
        BOOST_TEST((mp::wait({server}, 0s) == std::vector<std::size_t>{0}));
        BOOST_CHECK_THROW(static_cast<void>(server.recv()), mp::EndOfStream);
    }
}

BOOST_AUTO_TEST_CASE(half_a_message_and_then_death) {
    mp::Listener listener;
    for (const std::string_view half : {std::string_view("\0\0", 2), std::string_view("\0\0\0\x05"
                                                                                      "abc",
                                                                                      7)}) {
        support::RawPeer raw{listener};
        raw.say(half);
        auto connection = listener.accept();
        BOOST_TEST(!connection.try_recv_bytes_for(5ms).has_value()); // it may still come
        raw.end();
        support::expect_error<mp::Error>([&] { static_cast<void>(connection.recv_bytes()); },
                                         {"middle of a message"});
        BOOST_CHECK_THROW(static_cast<void>(connection.recv_bytes()), mp::ConnectionClosed);
    }
}

// The kernel refuses the rest when a part has been sent: here because it cannot be read.
BOOST_AUTO_TEST_CASE(half_a_message_and_then_an_error) {
    constexpr std::size_t readable = 1u << 20;
    void* const pages = ::mmap(nullptr, readable + 4096, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    BOOST_TEST_REQUIRE(pages != MAP_FAILED);
    const std::span<const std::byte> bytes(static_cast<const std::byte*>(pages), readable + 4096);
    BOOST_TEST_REQUIRE(::mprotect(static_cast<std::byte*>(pages) + readable, 4096, PROT_NONE) == 0);
    mp::Listener listener;
    auto client = mp::Client(listener.address());
    auto server = listener.accept();
    const int little = 4096; // of room, so that the message goes in many parts
    BOOST_TEST(::setsockopt(client.fileno(), SOL_SOCKET, SO_SNDBUF, &little, sizeof little) == 0);
    std::atomic<bool> broken{false};
    std::thread receiving([&] {
        broken = support::throws<mp::Error>([&] { static_cast<void>(server.recv_bytes()); });
    });
    BOOST_CHECK_THROW(client.send_bytes(bytes), mp::Error);
    BOOST_TEST(client.closed());
    BOOST_CHECK_THROW(client.send_bytes("the next"), mp::ConnectionClosed);
    client.close();
    receiving.join();
    BOOST_TEST(broken);
    ::munmap(pages, readable + 4096);
}

BOOST_AUTO_TEST_CASE(a_message_in_pieces_is_one_message) {
    mp::Listener listener;
    support::RawPeer raw{listener};
    auto connection = listener.accept();
    for (const char* piece : {"\x05", "a", "b", "cd"}) {
        if (*piece == '\x05')
            raw.say(std::string_view("\0\0\0", 3));
        raw.say(piece);
        BOOST_TEST(!connection.try_recv_bytes().has_value());
    }
    raw.say("e");
    BOOST_TEST(connection.recv_bytes().size() == 5u);
}

BOOST_AUTO_TEST_CASE(a_length_beyond_reason_costs_no_memory) {
    mp::Listener listener;
    {
        support::RawPeer raw{listener}; // 4 GiB announced, 3 bytes sent
        raw.say(std::string_view("\xff\xff\xff\xff\0\0\0\1\0\0\0\0abc", 15));
        auto connection = listener.accept();
        BOOST_TEST(!connection.try_recv_bytes_for(5ms).has_value());
        raw.end();
        BOOST_CHECK_THROW(static_cast<void>(connection.recv_bytes()), mp::Error);
    }
    for (const std::string_view head :
         {std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12),
          std::string_view("\x80\0\0\0", 4)}) {
        support::RawPeer raw{listener};
        raw.say(head);
        auto connection = listener.accept();
        BOOST_CHECK_THROW(static_cast<void>(connection.recv_bytes()), mp::Error);
        BOOST_TEST(connection.closed());
    }
    support::RawPeer raw{listener};
    raw.say(std::string_view("\0\0\0\x64", 4));
    auto connection = listener.accept();
    support::expect_error<mp::Error>([&] { static_cast<void>(connection.recv_bytes(99)); },
                                     {"100 bytes", "99"});
}

BOOST_AUTO_TEST_CASE(a_limit_counts_for_a_message_that_another_call_has_begun) {
    mp::Listener listener;
    support::RawPeer raw{listener};
    raw.say(std::string_view("\0\0\0\x64"
                             "abc",
                             7));
    auto connection = listener.accept();
    BOOST_TEST(!connection.try_recv_bytes_for(5ms).has_value());
    support::expect_error<mp::Error>([&] { static_cast<void>(connection.recv_bytes(99)); },
                                     {"100 bytes", "99"});
    BOOST_TEST(connection.closed());
}

BOOST_AUTO_TEST_CASE(try_send_does_not_wait_for_another_threads_long_message) {
    mp::Listener listener;
    auto client = mp::Client<std::string>(listener.address());
    auto server = listener.accept<std::string>();
    std::atomic<int> tid{0};
    std::thread sending([&] {
        tid = ::gettid();
        server.send(std::string(10'000'000, 'x'));
    });
    support::wait_until([&] { return tid != 0; });
    support::wait_until_asleep(tid);
    BOOST_TEST(!server.try_send("y"));
    BOOST_TEST(!server.try_send_for("y", 20ms));
    std::thread receiving([&] {
        static_cast<void>(client.recv());
        static_cast<void>(client.recv());
    });
    BOOST_TEST(server.try_send_for("y", 24h));
    sending.join();
    receiving.join();
}

BOOST_AUTO_TEST_CASE(close_ends_what_waits_for_another_threads_long_message) {
    mp::Listener listener;
    auto client = mp::Client(listener.address());
    auto server = listener.accept();
    std::atomic<int> ended{0};
    std::array<std::atomic<int>, 2> tids{};
    std::vector<std::thread> threads;
    for (auto& tid : tids) {
        threads.emplace_back([&] {
            tid = ::gettid();
            ended += support::throws<mp::ConnectionClosed>(
                [&] { server.send_bytes(Bytes(10'000'000)); });
        });
        support::wait_until([&] { return tid != 0; });
        support::wait_until_asleep(tid);
    }
    server.close();
    for (std::thread& thread : threads)
        thread.join();
    BOOST_TEST(ended == 2);
}

BOOST_AUTO_TEST_CASE(a_peer_that_does_not_stop_sending_does_not_hold_try_recv) {
    mp::Listener listener;
    auto client = mp::Client(listener.address());
    auto server = listener.accept();
    std::atomic<bool> refused{false};
    std::thread sending([&] {
        refused = support::throws<mp::BrokenPipe>([&] { client.send_bytes(Bytes(100'000'000)); });
    });
    BOOST_TEST(!server.try_recv_bytes_for(1ms).has_value());
    BOOST_TEST(!server.try_recv_bytes().has_value());
    server.close();
    sending.join();
    BOOST_TEST(refused);
}

BOOST_AUTO_TEST_CASE(a_killed_peer_ends_the_stream) {
    mp::Listener listener{{"127.0.0.1", 0}};
    mp::Process child{[&] {
        auto connection = mp::Client<int>(listener.address());
        connection.send(1);
        ::pause();
    }};
    child.start();
    auto connection = listener.accept<int>();
    BOOST_TEST(connection.recv() == 1);
    child.kill();
    BOOST_CHECK_THROW(static_cast<void>(connection.recv()), mp::EndOfStream);
    child.join();
    BOOST_TEST(connection.ended());
    BOOST_TEST(!connection.try_recv().has_value());
}

BOOST_AUTO_TEST_SUITE_END()
