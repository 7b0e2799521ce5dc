#include "asio/support.hpp"

#include <multifork/channel/listener.hpp>
#include <multifork/channel/pipe.hpp>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace asio::experimental::awaitable_operators;
using Coroutine = asio::awaitable<void>;

namespace {

/// The two ends of a stream socket; those that nobody has taken are closed.
class SocketPair {
public:
    SocketPair() {
        BOOST_TEST_REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_.data()) == 0);
    }
    ~SocketPair() {
        for (const int end : ends_)
            if (end >= 0)
                ::close(end);
    }
    SocketPair(const SocketPair&) = delete;
    SocketPair& operator=(const SocketPair&) = delete;

    [[nodiscard]] int end(std::size_t which) const { return ends_[which]; }
    [[nodiscard]] int take(std::size_t which) { return std::exchange(ends_[which], -1); }

private:
    std::array<int, 2> ends_{-1, -1};
};

/// What goes through a socket when this is sent.
std::vector<std::byte> bytes_of(const std::string& message) {
    SocketPair pair;
    mp::connection_from<std::string>(pair.take(0)).send(message);
    std::vector<std::byte> bytes(1000);
    std::size_t have = 0;
    for (ssize_t n = 1; n > 0; have += static_cast<std::size_t>(n)) {
        n = ::recv(pair.end(1), bytes.data() + have, bytes.size() - have, 0);
        BOOST_TEST_REQUIRE(n >= 0);
    }
    bytes.resize(have);
    return bytes;
}

void write(int socket, std::span<const std::byte> bytes) {
    BOOST_TEST_REQUIRE(::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                       static_cast<ssize_t>(bytes.size()));
}

Coroutine receive_one(mp::Connection<int>& from) {
    static_cast<void>(co_await mp::async_recv(from));
}
Coroutine wait_for(const mp::AnyConnection& what) {
    co_await mp::async_wait(what);
}

/// Whether these end with ConnectionClosed when `here` is closed, and `there` sees the end.
void expect_close_to_end_all(mp::Connection<int>& here, mp::Connection<int>& there) {
    asio::io_context io;
    int closed = 0;
    const auto count = [&](std::exception_ptr error) {
        BOOST_TEST_REQUIRE((error != nullptr));
        BOOST_CHECK_THROW(std::rethrow_exception(error), mp::ConnectionClosed);
        ++closed;
    };
    asio::co_spawn(io, receive_one(here), count);
    asio::co_spawn(io, receive_one(here), count);
    asio::co_spawn(io, wait_for(here), count);
    io.run_for(20ms);
    BOOST_TEST(closed == 0);
    here.close();
    io.restart();
    io.run();
    BOOST_TEST(closed == 3);
    BOOST_CHECK_THROW(static_cast<void>(there.recv()), mp::EndOfStream);
}

} // namespace

BOOST_AUTO_TEST_SUITE(connections)

BOOST_AUTO_TEST_CASE(half_a_message_holds_nobody_up) {
    const std::vector<std::byte> bytes = bytes_of("a message");
    const std::span<const std::byte> message = bytes;
    SocketPair pair;
    auto here = mp::connection_from<std::string>(pair.take(0));
    asio::io_context io;
    const auto receive = [&](mp::Connection<std::string>& from) -> Coroutine {
        // In the middle of the length, then in the middle of the text.
        for (const auto part : {message.first(2), message.subspan(2, 5)}) {
            write(pair.end(1), part);
            const auto next = co_await (mp::async_recv(from) || support::pause(50ms));
            BOOST_TEST(next.index() == 1u);
        }
        write(pair.end(1), message.subspan(7));
        const auto whole = co_await mp::async_recv(from);
        BOOST_TEST(whole.value() == "a message");
        ::close(pair.take(1));
        const auto end = co_await mp::async_recv(from);
        BOOST_TEST(!end.has_value());
    };
    support::run(io, receive(here));
}

BOOST_AUTO_TEST_CASE(the_end_in_the_middle_of_a_message_is_an_error) {
    const std::vector<std::byte> bytes = bytes_of("a message");
    SocketPair pair;
    auto here = mp::connection_from<std::string>(pair.take(0));
    write(pair.end(1), std::span(bytes).first(2));
    ::close(pair.take(1));
    asio::io_context io;
    const auto receive = [](mp::Connection<std::string>& from) -> Coroutine {
        static_cast<void>(co_await mp::async_recv(from));
    };
    BOOST_CHECK_THROW(support::run(io, receive(here)), mp::Error);
}

// A thread takes some of the messages between the look of the operation and its taking.
BOOST_AUTO_TEST_CASE(who_comes_too_late_for_a_message_does_not_hold_up_the_others) {
    constexpr int rounds = 5000;
    auto [mine, other] = mp::Pipe<int>();
    auto& here = mine;
    auto& there = other;
    std::atomic<int> sent{0};
    std::atomic<int> taken{0};
    std::jthread rival([&] {
        auto delay = 5000ns;
        for (int round = 0; round < rounds; ++round) {
            while (sent.load() <= round)
                std::this_thread::yield();
            const auto moment = std::chrono::steady_clock::now() + delay;
            while (std::chrono::steady_clock::now() < moment)
                ;
            const bool won = here.try_recv().has_value();
            taken += won ? 1 : 0;
            delay += won ? 100ns : -100ns; // the next time it is a closer race
        }
    });
    asio::io_context io;
    const auto receive = [&](mp::Connection<int>& from, mp::Connection<int>& to) -> Coroutine {
        for (int round = 0; round < rounds; ++round) {
            to.send(round);
            ++sent;
            while (taken.load() <= round) {
                const auto next = co_await (mp::async_recv(from) || support::pause(1ms));
                if (next.index() == 0)
                    ++taken;
            }
        }
    };
    support::run(io, receive(here, there));
    BOOST_TEST(taken.load() == rounds);
    BOOST_TEST(!here.poll());
}

BOOST_AUTO_TEST_CASE(closing_a_socket_ends_what_waits_for_it) {
    SocketPair pair;
    auto here = mp::connection_from<int>(pair.take(0));
    auto there = mp::connection_from<int>(pair.take(1));
    expect_close_to_end_all(here, there);
}

BOOST_AUTO_TEST_CASE(closing_a_pipe_ends_what_waits_for_it) {
    auto [here, there] = mp::Pipe<int>();
    expect_close_to_end_all(here, there);
}

BOOST_AUTO_TEST_CASE(an_operation_that_is_cancelled_leaves_a_socket_open) {
    SocketPair pair;
    auto here = mp::connection_from<int>(pair.take(0));
    auto there = mp::connection_from<int>(pair.take(1));
    asio::io_context io;
    const auto give_up = [](mp::Connection<int>& from, mp::Connection<int>& to) -> Coroutine {
        const auto next = co_await (mp::async_recv(from) || support::pause(20ms));
        BOOST_TEST(next.index() == 1u);
        to.send(7);
        co_await mp::async_wait(from);
        const auto message = co_await mp::async_recv(from);
        BOOST_TEST(message.value() == 7);
    };
    support::run(io, give_up(here, there));
}

BOOST_AUTO_TEST_SUITE_END()
