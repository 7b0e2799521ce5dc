#include <multifork/channel/pipe.hpp>

#include "support/blocks.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/no_backstop.hpp"

#include <multifork/arena/space.hpp>
#include <multifork/process/process.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(pipes, *boost::unit_test::fixture<support::NoBackstop>())

BOOST_AUTO_TEST_CASE(both_ends_of_a_duplex_pipe_send_and_receive) {
    auto [a, b] = mp::Pipe<std::string>();
    a.send("to b");
    b.send("to a");
    BOOST_TEST(b.recv() == "to b");
    BOOST_TEST(a.recv() == "to a");
    BOOST_TEST(a.to_string() == "<Connection to receive and send, open>");
}

BOOST_AUTO_TEST_CASE(a_plain_type_and_a_long_message) {
    auto [a, b] = mp::Pipe<std::array<int, 100>>();
    std::array<int, 100> many{};
    many[99] = 7;
    a.send(many);
    BOOST_TEST(b.recv()[99] == 7);
    auto [c, d] = mp::Pipe<int>();
    c.send(5);
    BOOST_TEST(d.recv() == 5);
}

BOOST_AUTO_TEST_CASE(nothing_is_there_and_the_polling_forms_say_so) {
    auto [a, b] = mp::Pipe<int>();
    BOOST_TEST(!a.poll());
    BOOST_TEST(!a.poll(-1s));
    BOOST_TEST(!a.try_recv().has_value());
    const auto begin = std::chrono::steady_clock::now();
    BOOST_TEST(!a.try_recv_for(20ms).has_value());
    BOOST_TEST(!a.poll(20ms));
    BOOST_TEST((std::chrono::steady_clock::now() - begin >= 40ms));
    b.send(3);
    BOOST_TEST(a.poll());
    BOOST_TEST(a.poll(24h));
    BOOST_TEST(a.try_recv().value() == 3);
}

BOOST_AUTO_TEST_CASE(a_full_pipe_makes_its_sender_wait) {
    auto [reader, writer] = mp::Pipe<int>({.duplex = false, .capacity = 2});
    writer.send(1);
    writer.send(2);
    BOOST_TEST(!writer.try_send(3));
    BOOST_TEST(!writer.try_send_for(3, 10ms));
    std::thread sender([&writer = writer] {
        for (int i = 3; i < 100; ++i)
            writer.send(i);
    });
    for (int i = 1; i < 100; ++i)
        BOOST_TEST(reader.recv() == i);
    sender.join();
}

BOOST_AUTO_TEST_CASE(pipes_leave_no_memory_behind) {
    const std::uint64_t before = support::blocks_used();
    {
        auto [a, b] = mp::Pipe<std::string>();
        a.send(std::string(5000, 'x')); // never received
        mp::Process child{[&, &c = b] { static_cast<void>(c.recv()); }};
        child.start();
        support::expect_exit(child);
        a.send(std::string(5000, 'y'));
        child.close();
    }
    BOOST_TEST(support::blocks_used() == before);
}

BOOST_AUTO_TEST_CASE(a_connection_that_could_not_be_sent_does_not_stay_open) {
    auto [outer, inner] = mp::Pipe<mp::Connection<int>>({.duplex = true, .capacity = 1});
    auto [reader, writer] = mp::Pipe<int>(false);
    outer.send(reader);
    BOOST_TEST(!outer.try_send(writer));
    writer.close();
    BOOST_TEST(reader.ended());
    inner.close();
}

BOOST_AUTO_TEST_CASE(garbage_instead_of_a_connection) {
    auto [outer, inner] = mp::Pipe<mp::Connection<int>>();
    outer.send_bytes("garbage");
    BOOST_CHECK_THROW(static_cast<void>(inner.recv()), mp::CorruptSharedMemory);
    std::vector<std::byte> bytes(8 + 80, std::byte{0x41});
    for (std::size_t i = 0; i < 8; ++i)
        bytes[i] = i == 0 ? std::byte{80} : std::byte{0}; // a string of 80 bytes
    outer.send_bytes(bytes);
    BOOST_CHECK_THROW(static_cast<void>(inner.recv()), mp::CorruptSharedMemory);
}

BOOST_AUTO_TEST_CASE(bytes_in_all_forms) {
    auto [a, b] = mp::Pipe();
    a.send_bytes("hello");
    BOOST_TEST(b.recv_bytes().size() == 5u);
    const std::vector<std::byte> ten(10, std::byte{7});
    a.send_bytes(ten, 3);
    BOOST_TEST(b.recv_bytes().size() == 7u);
    a.send_bytes(ten, 3, 4);
    BOOST_TEST(b.recv_bytes(4).size() == 4u);
    a.send_bytes(ten, 10, 0);
    BOOST_TEST(b.poll());
    BOOST_TEST(b.recv_bytes(0).empty());
    const auto& sending = a;
    auto sender = sending;
    BOOST_CHECK_THROW(sender.send_bytes(ten, -1), mp::InvalidArgument);
    BOOST_CHECK_THROW(sender.send_bytes(ten, 11), mp::InvalidArgument);
    BOOST_CHECK_THROW(sender.send_bytes(ten, 3, -1), mp::InvalidArgument);
    BOOST_CHECK_THROW(sender.send_bytes(ten, 3, 8), mp::InvalidArgument);
    BOOST_TEST(!b.poll());

    std::array<std::byte, 12> buffer{};
    a.send_bytes(ten);
    BOOST_TEST(b.recv_bytes_into(buffer, 2) == 10u);
    BOOST_TEST((buffer[1] == std::byte{0} && buffer[2] == std::byte{7}));
    BOOST_CHECK_THROW(static_cast<void>(b.recv_bytes_into(buffer, -1)), mp::InvalidArgument);
    BOOST_CHECK_THROW(static_cast<void>(b.recv_bytes_into(buffer, 13)), mp::InvalidArgument);
    BOOST_CHECK_THROW(static_cast<void>(b.recv_bytes(-1)), mp::InvalidArgument);
    a.send_bytes(ten);
    try {
        static_cast<void>(b.recv_bytes_into(buffer, 3));
        BOOST_ERROR("did not throw");
    } catch (const mp::BufferTooShort& error) {
        BOOST_TEST((error.bytes() == ten));
    }
    a.send_bytes(ten);
    BOOST_CHECK_THROW(static_cast<void>(b.recv_bytes(9)), mp::Error);
    BOOST_CHECK_THROW(static_cast<void>(b.recv_bytes()), mp::ConnectionClosed);
    b.send_bytes("still sends");
    BOOST_TEST(a.recv_bytes().size() == 11u);
}

BOOST_AUTO_TEST_CASE(bad_arguments_are_refused) {
    BOOST_CHECK_THROW(static_cast<void>(mp::Pipe<int>({.capacity = 0})), mp::InvalidArgument);
    BOOST_CHECK_THROW(static_cast<void>(mp::Pipe<int>({.capacity = ~std::size_t{0}})),
                      mp::InvalidArgument);
    mp::Connection<int> none;
    support::expect_error<mp::ConnectionClosed>([&] { none.send(1); }, {"nothing"});
    BOOST_TEST(none.closed());
    BOOST_TEST(none.to_string() == "<Connection to nothing>");
}

// Several at each end: nothing is lost or doubled. (Fails when the ring's lock is left out.)
BOOST_AUTO_TEST_CASE(several_senders_and_receivers) {
    auto [reader, writer] = mp::Pipe<int>({.duplex = false, .capacity = 4});
    const int each = support::scaled(5'000);
    std::atomic<long> sum{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t)
        threads.emplace_back([&, r = reader]() mutable {
            while (auto got = r.try_recv_for(24h))
                sum += *got;
        });
    std::vector<std::thread> senders;
    for (int t = 0; t < 3; ++t)
        senders.emplace_back([&, w = writer]() mutable {
            for (int i = 1; i <= each; ++i)
                w.send(i);
        });
    for (std::thread& sender : senders)
        sender.join();
    writer.close();
    for (std::thread& thread : threads)
        thread.join();
    BOOST_TEST(sum == 3L * each * (each + 1) / 2);
}

BOOST_AUTO_TEST_SUITE_END()
