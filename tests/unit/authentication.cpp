#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "unit/raw_peer.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

using Bytes = std::vector<std::byte>;

} // namespace

// Who knows the key, and who only says so.
BOOST_AUTO_TEST_SUITE(authentication)

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
    const support::RawPeer raw{listener};
    BOOST_CHECK_THROW(static_cast<void>(listener.accept()), mp::AuthenticationError);
}

BOOST_AUTO_TEST_CASE(garbage_instead_of_an_answer) {
    mp::Listener listener{mp::Address::any(), {.authkey = "secret"}};
    for (const char* garbage : {"GET / HTTP/1.1\r\n\r\n", "\x7f\xff\xff\xff", "\xff\xff\xff\xfe"}) {
        support::RawPeer raw{listener};
        raw.say(garbage);
        BOOST_CHECK_THROW(static_cast<void>(listener.accept()), mp::AuthenticationError);
    }
    support::RawPeer gone{listener};
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

BOOST_AUTO_TEST_SUITE_END()
