#include <multifork/multifork.hpp>

#include "start_methods.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

using Item = std::variant<std::monostate, int, double, std::string>;
using Items = std::vector<Item>;

} // namespace

BOOST_AUTO_TEST_SUITE(connection)

// Python's list of mixed types is a vector of variants here. The stream's end is an exception on
// recv; the polling forms say false and nothing.
MULTIFORK_EACH_START_METHOD(C_001_echo_through_a_duplex_pipe) {
    auto [conn, child_conn] = mp::Pipe<Items>();
    mp::Process echo = context.process(
        [](mp::Connection<Items> parent, mp::Connection<Items> c) {
            parent.close();
            for (;;) {
                const Bytes message = c.recv_bytes();
                if (message.empty())
                    break;
                c.send_bytes(message);
            }
            c.close();
        },
        conn, child_conn);
    echo.start();
    child_conn.close();

    const Items seq{1, 2.25, std::monostate{}};
    conn.send(seq);
    BOOST_TEST((conn.recv() == seq));
    const Bytes message = bytes_of("hello world");
    conn.send_bytes(message);
    BOOST_TEST((conn.recv_bytes() == message));

    std::array<int, 10> buffer{};
    const std::array<int, 4> ints{0, 1, 2, 3};
    conn.send_bytes(std::as_bytes(std::span(ints)));
    BOOST_TEST(conn.recv_bytes_into(std::as_writable_bytes(std::span(buffer))) == 16u);
    BOOST_TEST((buffer == std::array<int, 10>{0, 1, 2, 3}));
    buffer = {};
    conn.send_bytes(std::as_bytes(std::span(ints)));
    BOOST_TEST(conn.recv_bytes_into(std::as_writable_bytes(std::span(buffer)), 3 * sizeof(int)) ==
               16u);
    BOOST_TEST((buffer == std::array<int, 10>{0, 0, 0, 0, 1, 2, 3}));

    const Bytes longmsg = bytes_of(std::string(110, 'X'));
    conn.send_bytes(longmsg);
    try {
        static_cast<void>(conn.recv_bytes_into(std::as_writable_bytes(std::span(buffer))));
        BOOST_ERROR("a message of 110 bytes fitted into 40");
    } catch (const mp::BufferTooShort& error) {
        BOOST_TEST((error.bytes() == longmsg));
    }

    BOOST_TEST(!conn.poll());
    BOOST_TEST(!conn.poll(-1s));
    const auto begin = Clock::now();
    BOOST_TEST(!conn.poll(100ms));
    BOOST_TEST((Clock::now() - begin >= 100ms));
    conn.send({std::monostate{}});
    BOOST_TEST(conn.poll(24h));
    BOOST_TEST((conn.recv() == Items{std::monostate{}}));

    const Bytes really_big(16u << 20, std::byte{'X'});
    conn.send_bytes(really_big);
    BOOST_TEST((conn.recv_bytes() == really_big));

    BOOST_TEST(conn.readable());
    BOOST_TEST(conn.writable());
    conn.send_bytes("");
    BOOST_CHECK_THROW(static_cast<void>(conn.recv()), mp::EndOfStream);
    BOOST_CHECK_THROW(static_cast<void>(conn.recv_bytes()), mp::EndOfStream);
    support::expect_exit(echo);
}

BOOST_AUTO_TEST_CASE(C_002_one_way) {
    auto [reader, writer] = mp::Pipe<int>(false);
    writer.send(1);
    BOOST_TEST(reader.recv() == 1);
    BOOST_TEST(reader.readable());
    BOOST_TEST(!reader.writable());
    BOOST_TEST(!writer.readable());
    BOOST_TEST(writer.writable());
    support::expect_error<mp::Error>([&r = reader] { r.send(2); }, {"only receives"});
    support::expect_error<mp::Error>([&w = writer] { static_cast<void>(w.recv()); },
                                     {"only sends"});
    support::expect_error<mp::Error>([&w = writer] { static_cast<void>(w.poll()); },
                                     {"only sends"});
}

// Leaving the scope is what `with` is in Python.
BOOST_AUTO_TEST_CASE(C_008_scope) {
    mp::Connection<int> kept;
    {
        auto [a, b] = mp::Pipe<int>();
        a.send(1729);
        BOOST_TEST(b.recv() == 1729);
        BOOST_TEST(!a.closed());
        BOOST_TEST(!b.closed());
        kept = b;
        b.close();
    }
    BOOST_TEST(kept.closed());
    BOOST_CHECK_THROW(static_cast<void>(kept.recv()), mp::ConnectionClosed);
}

MULTIFORK_EACH_START_METHOD(C_017_polled_one_by_one) {
    const std::vector<std::string> strings{"hello", "", "a", "b", "", "bye", "", "lop"};
    auto [a, b] = mp::Pipe();
    mp::Process child = context.process(
        [](mp::Connection<> c, const std::vector<std::string>& all) {
            for (const std::string& s : all) {
                std::this_thread::sleep_for(100ms);
                c.send_bytes(s);
            }
            c.close();
        },
        b, strings);
    child.start();
    for (const std::string& s : strings) {
        while (!a.poll(10ms)) {
        }
        BOOST_TEST((a.recv_bytes() == bytes_of(s)));
    }
    support::expect_exit(child);
}

MULTIFORK_EACH_START_METHOD(C_019_messages_are_not_merged) {
    auto [a, b] = mp::Pipe();
    BOOST_TEST(!a.poll(0s));
    mp::Process child = context.process(
        [](mp::Connection<> c) {
            c.send_bytes("a");
            c.send_bytes("b");
            c.send_bytes("cd");
        },
        b);
    child.start();
    BOOST_TEST((a.recv_bytes() == bytes_of("a")));
    BOOST_TEST(a.poll(24h));
    BOOST_TEST(a.poll(24h));
    BOOST_TEST((a.recv_bytes() == bytes_of("b")));
    BOOST_TEST(a.poll(24h));
    BOOST_TEST(a.poll(24h));
    BOOST_TEST(a.poll(0s));
    BOOST_TEST((a.recv_bytes() == bytes_of("cd")));
    support::expect_exit(child);
}

MULTIFORK_EACH_START_METHOD(C_021_connections_as_messages_to_a_child_that_runs) {
    using Text = mp::Connection<std::string>;
    auto [lconn, rconn] = mp::Pipe<Text>();
    mp::Process child = context.process(
        [](mp::Connection<Text> parent, mp::Connection<Text> c) {
            parent.close();
            auto writer = c.recv();
            writer.send("all is well");
            writer.close();
            auto reader = c.recv();
            const std::string got = reader.recv();
            auto answer = c.recv();
            answer.send(got + got);
        },
        lconn, rconn);
    child.start();
    rconn.close();

    {
        auto [reader, writer] = mp::Pipe<std::string>(false);
        lconn.send(writer);
        writer.close();
        BOOST_TEST(reader.recv() == "all is well");
        reader.close();
    }
    auto [reader, writer] = mp::Pipe<std::string>(false);
    lconn.send(reader);
    reader.close();
    writer.send("foobar");
    writer.close();
    auto [doubled, answer] = mp::Pipe<std::string>(false);
    lconn.send(answer);
    answer.close();
    BOOST_TEST(doubled.recv() == "foobarfoobar");
    BOOST_CHECK_THROW(static_cast<void>(doubled.recv()), mp::EndOfStream);
    support::expect_exit(child);
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

/// Four children that each send (number, index) ten times; `pause` before each message.
template <class Pause>
void feed_and_wait(const mp::Context& context, Pause pause) {
    using Pair = std::pair<int, int>;
    std::vector<mp::Connection<Pair>> readers;
    std::vector<mp::Process> children;
    for (int i = 0; i < 4; ++i) {
        auto [reader, writer] = mp::Pipe<Pair>(false);
        children.push_back(context.process(
            [](Pause before_each, int own, mp::Connection<Pair> r, mp::Connection<Pair> w) {
                r.close();
                for (int n = 0; n < 10; ++n) {
                    before_each(own, n);
                    w.send({n, own});
                }
                w.close();
            },
            pause, i, reader, writer));
        children.back().start();
        writer.close();
        readers.push_back(reader);
    }
    std::array<int, 4> next{};
    int messages = 0;
    int ends = 0;
    std::vector<mp::Connection<Pair>> open = readers;
    while (!open.empty()) {
        const std::vector<mp::Waitable> all(open.begin(), open.end());
        const auto ready = mp::wait(all);
        BOOST_REQUIRE(!ready.empty());
        for (auto place = ready.rbegin(); place != ready.rend(); ++place) {
            try {
                const auto [n, i] = open[*place].recv();
                BOOST_TEST(next.at(static_cast<std::size_t>(i))++ == n);
                ++messages;
            } catch (const mp::EndOfStream&) {
                open.erase(open.begin() + static_cast<std::ptrdiff_t>(*place));
                ++ends;
            }
        }
    }
    BOOST_TEST(messages == 40);
    BOOST_TEST(ends == 4);
    for (mp::Process& child : children)
        support::expect_exit(child);
}

} // namespace

BOOST_AUTO_TEST_SUITE(waiting)

MULTIFORK_EACH_START_METHOD(C_022_wait_for_four_readers) {
    feed_and_wait(context, [](int, int) {});
}

MULTIFORK_EACH_START_METHOD(C_024_wait_for_four_slow_readers) {
    feed_and_wait(context,
                  [](int i, int n) { std::this_thread::sleep_for((i * 37 + n * 53) % 100 * 1ms); });
}

BOOST_AUTO_TEST_CASE(C_026_wait_has_a_time) {
    auto [a, b] = mp::Pipe<int>();
    const auto begin = Clock::now();
    BOOST_TEST(mp::wait({a, b}, 1s).empty());
    BOOST_TEST((Clock::now() - begin >= 1s));
    b.send(1);
    const auto ready = mp::wait({a, b}, 20s);
    BOOST_TEST((ready == std::vector<std::size_t>{0})); // what b sends, a receives
    b.close();
}

BOOST_AUTO_TEST_SUITE_END()
