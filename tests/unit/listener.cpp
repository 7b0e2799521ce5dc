#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

using Bytes = std::vector<std::byte>;

/// A raw socket that is connected to a Listener, to speak whatever it likes.
class Raw {
public:
    explicit Raw(const mp::Listener& listener) : connection_(mp::Client(listener.address())) {}
    void say(std::string_view bytes) {
        BOOST_TEST(::send(connection_.fileno(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                   static_cast<ssize_t>(bytes.size()));
    }
    void end() { connection_.close(); }
    [[nodiscard]] int fd() const { return connection_.fileno(); }

private:
    mp::Connection<> connection_;
};

} // namespace

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

BOOST_AUTO_TEST_CASE(the_right_key_and_wrong_ones) {
    mp::Listener listener{mp::Address::any(), {.authkey = "secret"}};
    mp::Process right{[&] {
        auto connection = mp::Client<int>(listener.address(), {.authkey = "secret"});
        connection.send(1);
    }};
    right.start();
    BOOST_TEST(listener.accept<int>().recv() == 1);
    support::expect_exit(right);

    mp::Process wrong{[&] {
        try {
            static_cast<void>(mp::Client<int>(listener.address(), {.authkey = "Secret"}));
        } catch (const mp::AuthenticationError&) {
            return;
        }
        support::demand(false);
    }};
    wrong.start();
    BOOST_CHECK_THROW(static_cast<void>(listener.accept<int>()), mp::AuthenticationError);
    support::expect_exit(wrong);

    mp::Process without{[&] {
        auto connection = mp::Client<int>(listener.address());
        connection.send(1);
        static_cast<void>(connection.try_recv_bytes_for(20s)); // the challenge
    }};
    without.start();
    BOOST_CHECK_THROW(static_cast<void>(listener.accept<int>()), mp::AuthenticationError);
    support::expect_exit(without);
    BOOST_CHECK_THROW(mp::Listener(mp::Address::any(), {.authkey = ""}), mp::InvalidArgument);
    for (const int backlog : {0, -1})
        BOOST_CHECK_THROW(mp::Listener(mp::Address::any(), {.backlog = backlog}),
                          mp::InvalidArgument);
    const mp::Listener patient(mp::Address::any(), {.backlog = 1});
}

BOOST_AUTO_TEST_CASE(a_client_with_a_key_distrusts_a_listener_without) {
    mp::Listener listener;
    std::thread server([&] {
        auto connection = listener.accept();
        connection.send_bytes("welcome");
        static_cast<void>(connection.try_recv_bytes_for(20s));
    });
    BOOST_CHECK_THROW(static_cast<void>(mp::Client(listener.address(), {.authkey = "secret"})),
                      mp::AuthenticationError);
    server.join();
}

BOOST_AUTO_TEST_CASE(a_client_does_not_answer_the_challenge_of_another) {
    mp::Listener listener; // that does not know the key
    std::array<std::atomic<bool>, 2> refused{};
    const auto client = [&](std::size_t which) {
        return std::thread([&, which] {
            refused[which] = support::throws<mp::AuthenticationError>(
                [&] { static_cast<void>(mp::Client(listener.address(), {.authkey = "secret"})); });
        });
    };
    std::thread first = client(0);
    auto one = listener.accept();
    one.send_bytes("#CHALLENGE#{sha256}0123456789012345678901234567890123456789");
    static_cast<void>(one.recv_bytes());
    one.send_bytes("#WELCOME#");
    const Bytes challenge = one.recv_bytes();
    std::thread second = client(1);
    auto two = listener.accept();
    two.send_bytes(challenge);
    BOOST_CHECK_THROW(one.send_bytes(two.recv_bytes()), mp::EndOfStream);
    one.close();
    two.close();
    first.join();
    second.join();
    BOOST_TEST(refused[0]);
    BOOST_TEST(refused[1]);
}

BOOST_AUTO_TEST_CASE(a_client_that_says_nothing_does_not_hold_accept_for_ever) {
    mp::Listener listener{mp::Address::any(), {.authkey = "secret", .handshake = 20ms}};
    const Raw raw{listener};
    BOOST_CHECK_THROW(static_cast<void>(listener.accept()), mp::AuthenticationError);
}

BOOST_AUTO_TEST_CASE(garbage_instead_of_an_answer) {
    mp::Listener listener{mp::Address::any(), {.authkey = "secret"}};
    for (const char* garbage : {"GET / HTTP/1.1\r\n\r\n", "\x7f\xff\xff\xff", "\xff\xff\xff\xfe"}) {
        Raw raw{listener};
        raw.say(garbage);
        BOOST_CHECK_THROW(static_cast<void>(listener.accept()), mp::AuthenticationError);
    }
    Raw gone{listener};
    gone.end();
    BOOST_CHECK_THROW(static_cast<void>(listener.accept()), mp::AuthenticationError);
}

BOOST_AUTO_TEST_CASE(another_users_process_is_refused, *boost::unit_test::label("full")) {
    if (::geteuid() != 0)
        return; // only root can become somebody else
    mp::Listener listener;
    mp::Process stranger{[&] {
        support::demand(::setresuid(65534, 65534, 65534) == 0);
        bool refused = false;
        try {
            static_cast<void>(mp::Client(listener.address()));
        } catch (const mp::AuthenticationError&) {
            refused = true; // it looks too
        }
        support::demand(refused);
        static_cast<void>(mp::Client(listener.address(), {.any_user = true}));
    }};
    stranger.start();
    BOOST_CHECK_THROW(static_cast<void>(listener.accept()), mp::AuthenticationError);
    BOOST_CHECK_THROW(static_cast<void>(listener.accept()), mp::AuthenticationError);
    support::expect_exit(stranger);
}

BOOST_AUTO_TEST_CASE(half_a_message_and_then_death) {
    mp::Listener listener;
    for (const std::string_view half : {std::string_view("\0\0", 2), std::string_view("\0\0\0\x05"
                                                                                      "abc",
                                                                                      7)}) {
        Raw raw{listener};
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
    Raw raw{listener};
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
        Raw raw{listener}; // 4 GiB announced, 3 bytes sent
        raw.say(std::string_view("\xff\xff\xff\xff\0\0\0\1\0\0\0\0abc", 15));
        auto connection = listener.accept();
        BOOST_TEST(!connection.try_recv_bytes_for(5ms).has_value());
        raw.end();
        BOOST_CHECK_THROW(static_cast<void>(connection.recv_bytes()), mp::Error);
    }
    for (const std::string_view head :
         {std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12),
          std::string_view("\x80\0\0\0", 4)}) {
        Raw raw{listener};
        raw.say(head);
        auto connection = listener.accept();
        BOOST_CHECK_THROW(static_cast<void>(connection.recv_bytes()), mp::Error);
        BOOST_TEST(connection.closed());
    }
    Raw raw{listener};
    raw.say(std::string_view("\0\0\0\x64", 4));
    auto connection = listener.accept();
    support::expect_error<mp::Error>([&] { static_cast<void>(connection.recv_bytes(99)); },
                                     {"100 bytes", "99"});
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
    const Raw raw{listener};
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

// The parent's threads are in the middle of something at the fork. The child has copies of what
// they hold, and not the threads.
BOOST_AUTO_TEST_CASE(a_child_closes_a_socket_at_which_a_thread_of_its_parent_waits) {
    mp::Listener listener;
    auto client = mp::Client<int>(listener.address());
    auto server = listener.accept<int>();
    std::atomic<int> tid{0};
    std::atomic<bool> ended{false};
    std::thread receiving([&] {
        tid = ::gettid();
        ended = support::throws<mp::ConnectionClosed>([&] { static_cast<void>(server.recv()); });
    });
    support::wait_until([&] { return tid != 0; });
    support::wait_until_asleep(tid);
    mp::Event closed;
    mp::Event seen;
    mp::Process child{[&] {
        client.close();
        server.close();
        closed.set();
        seen.wait();
    }};
    child.start();
    closed.wait();
    server.close();
    receiving.join();
    BOOST_TEST(ended);
    BOOST_CHECK_THROW(static_cast<void>(client.recv()), mp::EndOfStream);
    seen.set();
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(a_child_closes_a_listener_at_which_a_thread_of_its_parent_waits) {
    mp::Listener listener{{"127.0.0.1", 0}};
    const mp::Address address = listener.address();
    std::atomic<int> tid{0};
    std::atomic<bool> ended{false};
    std::thread accepting([&] {
        tid = ::gettid();
        ended =
            support::throws<mp::ConnectionClosed>([&] { static_cast<void>(listener.accept()); });
    });
    support::wait_until([&] { return tid != 0; });
    support::wait_until_asleep(tid);
    mp::Event closed;
    mp::Event seen;
    mp::Process child{[&] {
        listener.close();
        closed.set();
        seen.wait();
    }};
    child.start();
    closed.wait();
    listener.close();
    accepting.join();
    BOOST_TEST(ended);
    const mp::Listener again{address}; // throws while anybody listens there
    seen.set();
    support::expect_exit(child);
}

// The accepting thread is kept off the only core from close() until after the fork.
BOOST_AUTO_TEST_CASE(what_was_closed_before_a_fork_is_not_open_in_the_child) {
    support::run_in_child([] {
        cpu_set_t one_core;
        CPU_ZERO(&one_core);
        CPU_SET(static_cast<unsigned>(::sched_getcpu()), &one_core);
        support::demand(::sched_setaffinity(0, sizeof one_core, &one_core) == 0);
        for (int i = 0; i < 10; ++i) {
            mp::Listener listener;
            std::atomic<int> tid{0};
            std::thread accepting([&] {
                const sched_param none{};
                ::sched_setscheduler(0, SCHED_IDLE, &none);
                tid = ::gettid();
                support::demand(support::throws<mp::ConnectionClosed>(
                    [&] { static_cast<void>(listener.accept()); }));
            });
            support::wait_until([&] { return tid != 0; });
            support::wait_until_asleep(tid);
            mp::Event there;
            mp::Event seen;
            mp::Process child{[&] {
                there.set();
                seen.wait();
            }};
            listener.close();
            child.start();
            const sched_param none{};
            ::sched_setscheduler(tid, SCHED_OTHER, &none);
            accepting.join();
            there.wait();
            const bool still_there =
                support::throws<mp::Error>([&] { const mp::Listener again{listener.address()}; });
            seen.set();
            support::expect_exit(child);
            support::demand(!still_there);
        }
    });
}

BOOST_AUTO_TEST_CASE(a_child_closes_a_pipe_at_which_a_thread_of_its_parent_waits_for_a_descriptor) {
    auto [a, b] = mp::Pipe({.descriptors = true});
    std::atomic<int> tid{0};
    std::thread receiving([&, &b = b] {
        tid = ::gettid();
        ::close(b.recv_fd());
    });
    support::wait_until([&] { return tid != 0; });
    support::wait_until_asleep(tid);
    mp::Event closed;
    mp::Event seen;
    mp::Process child{[&, &a = a, &b = b] {
        a.close();
        b.close();
        closed.set();
        seen.wait();
    }};
    child.start();
    closed.wait();
    a.send_fd(STDERR_FILENO);
    receiving.join();
    b.close();
    BOOST_CHECK_THROW(static_cast<void>(a.recv_fd()), mp::EndOfStream);
    seen.set();
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(close_in_a_child_ends_what_the_childs_threads_wait_for,
                     *boost::unit_test::label("no_tsan")) {
    mp::Listener listener;
    auto client = mp::Client<int>(listener.address());
    auto server = listener.accept<int>();
    support::run_in_child([&] {
        std::atomic<int> ended{0};
        std::array<std::atomic<int>, 2> tids{};
        std::thread accepting([&] {
            tids[0] = ::gettid();
            ended += support::throws<mp::ConnectionClosed>(
                [&] { static_cast<void>(listener.accept()); });
        });
        std::thread receiving([&] {
            tids[1] = ::gettid();
            ended +=
                support::throws<mp::ConnectionClosed>([&] { static_cast<void>(server.recv()); });
        });
        for (const auto& tid : tids) {
            support::wait_until([&] { return tid != 0; });
            support::wait_until_asleep(tid);
        }
        listener.close();
        server.close();
        accepting.join();
        receiving.join();
        support::demand(ended == 2);
    });
    // The parent's go on.
    client.send(1);
    BOOST_TEST(server.recv() == 1);
    const auto other = mp::Client<int>(listener.address());
    BOOST_TEST(listener.try_accept_for<int>(24h).has_value());
}

BOOST_AUTO_TEST_CASE(a_child_sends_where_a_thread_of_its_parent_is_in_send) {
    mp::Listener listener;
    auto client = mp::Client(listener.address());
    auto server = listener.accept();
    std::atomic<int> tid{0};
    std::thread sending([&] {
        tid = ::gettid();
        server.send_bytes(Bytes(10'000'000));
    });
    support::wait_until([&] { return tid != 0; });
    support::wait_until_asleep(tid);
    mp::Process child{[&] { server.send_bytes("from the child"); }};
    child.start();
    // Takes all that comes: what two processes send at one end of a socket is no messages any more.
    std::thread draining([&] {
        Bytes bytes(100'000);
        while (::recv(client.fileno(), bytes.data(), bytes.size(), 0) > 0) {
        }
    });
    support::expect_exit(child);
    sending.join();
    server.close();
    draining.join();
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
