#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

using Bytes = std::vector<std::byte>;

} // namespace

// Sockets, listeners and pipes with descriptors that threads of the parent are using at a fork.
BOOST_AUTO_TEST_SUITE(inherited_sockets)

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

BOOST_AUTO_TEST_SUITE_END()
