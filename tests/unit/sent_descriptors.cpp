#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "unit/raw_peer.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

// Descriptors through connections.
BOOST_AUTO_TEST_SUITE(sent_descriptors)

BOOST_AUTO_TEST_CASE(descriptors_between_unrelated_programs) {
    mp::Listener listener;
    auto client = mp::Client(listener.address());
    auto server = listener.accept();
    std::array<int, 2> ends{};
    BOOST_TEST_REQUIRE(::pipe(ends.data()) == 0);
    client.send_fd(ends[1]);
    ::close(ends[1]);
    client.send_bytes("and a message");
    const int got = server.recv_fd();
    BOOST_TEST((::fcntl(got, F_GETFD) & FD_CLOEXEC) != 0);
    BOOST_TEST(::write(got, "x", 1) == 1);
    char byte = 0;
    BOOST_TEST(::read(ends[0], &byte, 1) == 1);
    ::close(got);
    ::close(ends[0]);
    BOOST_TEST(server.recv_bytes().size() == 13u);
    BOOST_TEST(!server.try_recv_fd_for(5ms).has_value());
    BOOST_CHECK_THROW(client.send_fd(44977608), mp::Error);
    client.close();
    BOOST_TEST(!server.try_recv_fd_for(20s).has_value());
    BOOST_CHECK_THROW(static_cast<void>(server.recv_fd()), mp::EndOfStream);
}

BOOST_AUTO_TEST_CASE(a_flood_of_descriptors_is_dropped) {
    mp::Listener listener;
    const support::RawPeer raw{listener};
    auto server = listener.accept();
    const auto before = support::open_descriptors();
    for (int round = 0; round < 3; ++round) {
        std::array<int, 100> many{};
        many.fill(raw.fd());
        char byte = '!';
        iovec part{&byte, 1};
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof many)> control{};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* const head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof many);
        std::memcpy(CMSG_DATA(head), many.data(), sizeof many);
        BOOST_TEST(::sendmsg(raw.fd(), &message, 0) == 1);
        const int got = server.recv_fd();
        BOOST_TEST(support::open_descriptors() == before + 1);
        ::close(got);
    }
    BOOST_TEST(support::open_descriptors() == before);
}

BOOST_AUTO_TEST_CASE(descriptors_through_a_pipe) {
    auto [a, b] = mp::Pipe({.descriptors = true});
    std::array<int, 2> ends{};
    BOOST_TEST_REQUIRE(::pipe(ends.data()) == 0);
    a.send_fd(ends[1]);
    a.send_bytes("beside the messages");
    const int got = b.recv_fd();
    BOOST_TEST(::write(got, "x", 1) == 1);
    BOOST_TEST(b.recv_bytes().size() == 19u);
    for (const int fd : {got, ends[0], ends[1]})
        ::close(fd);
    a.close();
    BOOST_CHECK_THROW(static_cast<void>(b.recv_fd()), mp::EndOfStream);
    BOOST_CHECK_THROW(b.send_fd(0), mp::BrokenPipe);
    auto [c, d] = mp::Pipe();
    support::expect_error<mp::Error>([&p = c] { p.send_fd(0); }, {".descriptors = true"});
    support::expect_error<mp::Error>([&p = d] { static_cast<void>(p.fileno()); }, {"Readiness"});
}

BOOST_AUTO_TEST_CASE(close_ends_what_waits_for_a_descriptor_at_a_pipe) {
    auto [a, b] = mp::Pipe({.descriptors = true});
    auto [c, d] = mp::Pipe({.descriptors = true});
    std::array<std::atomic<int>, 2> tids{};
    std::atomic<int> ended{0};
    std::thread receiving([&, &b = b] {
        tids[0] = ::gettid();
        ended += support::throws<mp::ConnectionClosed>([&] { static_cast<void>(b.recv_fd()); });
    });
    std::thread sending([&, &c = c] {
        tids[1] = ::gettid();
        ended += support::throws<mp::ConnectionClosed>([&] {
            for (;;)
                c.send_fd(STDERR_FILENO);
        });
    });
    for (const auto& tid : tids) {
        support::wait_until([&] { return tid != 0; });
        support::wait_until_asleep(tid);
    }
    b.close();
    c.close();
    receiving.join();
    sending.join();
    BOOST_TEST(ended == 2);
}

BOOST_AUTO_TEST_SUITE_END()
