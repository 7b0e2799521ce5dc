#include <multifork/multifork.hpp>

#include "start_methods.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;
using namespace std::string_view_literals;

namespace {

/// A folder for sockets and files, which goes with it.
class Folder {
public:
    Folder() {
        std::string path = (std::filesystem::temp_directory_path() / "mp-XXXXXX").string();
        BOOST_TEST_REQUIRE(::mkdtemp(path.data()) != nullptr);
        path_ = path;
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] std::string file(const std::string& name) const { return path_ / name; }
    [[nodiscard]] bool empty() const { return std::filesystem::is_empty(path_); }

private:
    std::filesystem::path path_;
};

std::vector<mp::Address> families(const Folder& folder) {
    return {mp::Address(folder.file("socket")), mp::Address("127.0.0.1", 0)};
}

std::string contents(const std::string& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
}

} // namespace

BOOST_AUTO_TEST_SUITE(connection)

// A pipe with descriptors has sockets, which a process that is not forked does not get.
BOOST_AUTO_TEST_CASE(C_005_a_descriptor_through_a_pipe) {
    const Folder folder;
    auto [conn, child_conn] = mp::Pipe({.descriptors = true});
    mp::Process child{[&, &parent = conn, &c = child_conn] {
        parent.close();
        const int fd = c.recv_fd();
        support::demand(::write(fd, "foo", 3) == 3);
        ::close(fd);
    }};
    child.start();
    child_conn.close();
    const int fd = ::open(folder.file("file").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    conn.send_fd(fd);
    ::close(fd);
    support::expect_exit(child);
    BOOST_TEST(contents(folder.file("file")) == "foo");
}

MULTIFORK_EACH_START_METHOD(C_005_a_descriptor_through_a_connection) {
    const Folder folder;
    mp::Listener listener;
    mp::Process child = context.process(
        [](const mp::Address& parent) {
            auto connection = mp::Client(parent);
            const int fd = connection.recv_fd();
            support::demand(::write(fd, "foo", 3) == 3);
            ::close(fd);
        },
        listener.address());
    child.start();
    auto connection = listener.accept();
    const int fd = ::open(folder.file("file").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    connection.send_fd(fd);
    ::close(fd);
    support::expect_exit(child);
    BOOST_TEST(contents(folder.file("file")) == "foo");
}

MULTIFORK_EACH_START_METHOD(C_007_a_byte_without_its_descriptor) {
    mp::Listener listener;
    mp::Process child = context.process(
        [](const mp::Address& parent) {
            auto connection = mp::Client(parent);
            support::demand(::write(connection.fileno(), "\0", 1) == 1);
            // Until the other one has seen it:
            static_cast<void>(connection.try_recv_bytes_for(20s));
        },
        listener.address());
    child.start();
    auto connection = listener.accept();
    support::expect_error<mp::Error>([&] { static_cast<void>(connection.recv_fd()); },
                                     {"without a descriptor"});
    connection.close();
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(C_029_numbers_that_are_no_descriptors) {
    BOOST_CHECK_THROW(static_cast<void>(mp::connection_from(44977608)), mp::InvalidArgument);
    BOOST_CHECK_THROW(static_cast<void>(mp::connection_from(-1)), mp::InvalidArgument);
    BOOST_CHECK_THROW(static_cast<void>(mp::wait({44977608}, 1s)), mp::InvalidArgument);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(listener)

BOOST_AUTO_TEST_CASE(C_009_an_address_in_use) {
    const Folder folder;
    for (const mp::Address& address : families(folder)) {
        mp::Listener first{address};
        support::expect_error<mp::Error>([&] { mp::Listener second{first.address()}; },
                                         {"in use", "listening at"});
    }
    BOOST_TEST(folder.empty());
}

BOOST_AUTO_TEST_CASE(C_010_scope) {
    const Folder folder;
    for (const mp::Address& address : families(folder)) {
        mp::Listener outside{mp::Address::any()};
        {
            mp::Listener listener{address};
            auto client = mp::Client<int>(listener.address());
            auto server = listener.accept<int>();
            client.send(1729);
            BOOST_TEST(server.recv() == 1729);
            outside = std::move(listener);
        }
        outside.close();
        BOOST_CHECK_THROW(static_cast<void>(outside.accept()), mp::ConnectionClosed);
        BOOST_TEST(outside.closed());
    }
    BOOST_TEST(folder.empty());
}

BOOST_AUTO_TEST_CASE(C_012_an_abstract_socket) {
    const mp::Address address = mp::Address::any();
    BOOST_TEST(address.abstract());
    mp::Listener listener{address};
    auto client = mp::Client<int>(address);
    client.send(1729);
    BOOST_TEST(listener.accept<int>().recv() == 1729);
    listener.close();
    BOOST_CHECK_THROW(static_cast<void>(listener.accept()), mp::ConnectionClosed);
}

MULTIFORK_EACH_START_METHOD(C_013_a_child_connects) {
    const Folder folder;
    for (const mp::Address& address : families(folder)) {
        mp::Listener listener{address};
        mp::Process child = context.process(
            [](const mp::Address& parent) {
                auto connection = mp::Client<std::string>(parent);
                connection.send("hello");
            },
            listener.address());
        child.start();
        auto connection = listener.accept<std::string>();
        BOOST_TEST(connection.recv() == "hello");
        support::expect_exit(child);
    }
}

MULTIFORK_EACH_START_METHOD(C_014_accept_comes_after_the_client_has_gone) {
    const Folder folder;
    for (const mp::Address& address : families(folder)) {
        mp::Listener listener{address};
        support::run_in_child(
            context,
            [](const mp::Address& parent) {
                auto connection = mp::Client<std::string>(parent);
                connection.send("hello");
                connection.close();
            },
            listener.address());
        auto connection = listener.accept<std::string>();
        BOOST_TEST(connection.recv() == "hello");
        BOOST_CHECK_THROW(static_cast<void>(connection.recv()), mp::EndOfStream);
    }
}

BOOST_AUTO_TEST_CASE(C_015_poll_at_once) {
    const Folder folder;
    for (const mp::Address& address : families(folder)) {
        mp::Listener listener{address};
        auto client = mp::Client(listener.address());
        auto server = listener.accept();
        server.send_bytes("hello");
        BOOST_TEST(client.poll(1s));
        BOOST_TEST(client.recv_bytes().size() == 5u);
    }
}

// Our one digest is SHA-256.
BOOST_AUTO_TEST_CASE(C_030_a_bogus_answer) {
    auto [server, client] = mp::Pipe();
    client.send_bytes("something bogus");
    BOOST_CHECK_THROW(mp::deliver_challenge(server, "abc"), mp::AuthenticationError);
}

BOOST_AUTO_TEST_CASE(C_031_a_bogus_verdict) {
    auto [server, client] = mp::Pipe();
    server.send_bytes("#CHALLENGE#{sha256}0123456789012345678901234567890123456789");
    server.send_bytes("something bogus");
    BOOST_CHECK_THROW(mp::answer_challenge(client, "abc"), mp::AuthenticationError);
}

BOOST_AUTO_TEST_CASE(C_032_the_answer_of_one_side_is_accepted_by_the_other) {
    auto [server, client] = mp::Pipe();
    std::thread other([&, &c = client] { mp::answer_challenge(c, "is it secret? is it safe?"); });
    BOOST_CHECK_NO_THROW(mp::deliver_challenge(server, "is it secret? is it safe?"));
    other.join();
    // The digest that Python computes for this key and challenge.
    server.send_bytes("#CHALLENGE#{sha256}0123456789012345678901234567890123456789");
    server.send_bytes("#WELCOME#");
    BOOST_CHECK_NO_THROW(mp::answer_challenge(client, "abc"));
    const auto answer = server.recv_bytes();
    BOOST_TEST(answer.size() == 8u + 32u);
    BOOST_TEST(std::string(reinterpret_cast<const char*>(answer.data()), 8) == "{sha256}");
    std::string digest;
    for (std::size_t i = 8; i < answer.size(); ++i)
        digest += fmt::format("{:02x}", std::to_integer<unsigned>(answer[i]));
    BOOST_TEST(digest == "91b796d2ae1c287cbf3f880beefe4b49"
                         "0e091625fa206f14ee1d96740508669e");
}

BOOST_AUTO_TEST_CASE(C_033_an_address_of_another_system) {
    BOOST_CHECK_THROW(mp::Listener{"\\\\.\\test"}, mp::InvalidArgument);
    BOOST_CHECK_THROW(mp::Listener{""}, mp::InvalidArgument);
    BOOST_CHECK_THROW(mp::Listener{std::string(200, 'x')}, mp::InvalidArgument);
    BOOST_CHECK_THROW(mp::Listener(mp::Address("localhost", 70000)), mp::InvalidArgument);
    BOOST_CHECK_THROW(mp::Listener("\0"sv), mp::InvalidArgument);
}

MULTIFORK_EACH_START_METHOD(C_037_a_signal_does_not_end_accept) {
    auto [conn, child_conn] = mp::Pipe<std::string>();
    mp::Process child = context.process(
        [](mp::Connection<std::string> c) {
            struct sigaction action {};
            action.sa_handler = [](int) {};
            ::sigaction(SIGUSR1, &action, nullptr);
            mp::Listener listener;
            c.send(listener.address().name());
            auto connection = listener.accept<std::string>();
            connection.send("welcome");
        },
        child_conn);
    child.start();
    const std::string address = conn.recv();
    support::wait_until_asleep(*child.pid());
    ::kill(*child.pid(), SIGUSR1);
    support::wait_until_asleep(*child.pid());
    auto client = mp::Client<std::string>(address);
    BOOST_TEST(client.recv() == "welcome");
    support::expect_exit(child);
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

/// Four children connect to a plain TCP socket and send the lines 0 to 9.
template <class Pause>
void lines_from_sockets(const mp::Context& context, Pause pause) {
    const int listening = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    BOOST_TEST_REQUIRE(::bind(listening, reinterpret_cast<sockaddr*>(&address), length) == 0);
    BOOST_TEST_REQUIRE(::listen(listening, 4) == 0);
    ::getsockname(listening, reinterpret_cast<sockaddr*>(&address), &length);
    std::vector<mp::Process> children;
    for (int i = 0; i < 4; ++i) {
        children.push_back(context.process(
            [](Pause before_each, int own, sockaddr_in parent) {
                const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                support::demand(
                    ::connect(socket, reinterpret_cast<sockaddr*>(&parent), sizeof parent) == 0);
                for (int n = 0; n < 10; ++n) {
                    before_each(own, n);
                    const std::string line = std::to_string(n) + "\n";
                    support::demand(::write(socket, line.data(), line.size()) == 2);
                }
                ::close(socket);
            },
            pause, i, address));
        children.back().start();
    }
    std::vector<int> open;
    for (int i = 0; i < 4; ++i)
        open.push_back(::accept(listening, nullptr, nullptr));
    ::close(listening);
    std::vector<std::string> texts;
    std::vector<std::string> reading(4);
    std::vector<std::size_t> which{0, 1, 2, 3};
    while (!open.empty()) {
        const std::vector<mp::Waitable> all(open.begin(), open.end());
        const auto ready = mp::wait(all);
        for (auto place = ready.rbegin(); place != ready.rend(); ++place) {
            std::array<char, 32> buffer{};
            const ssize_t n = ::read(open[*place], buffer.data(), buffer.size());
            if (n > 0) {
                reading[which[*place]].append(buffer.data(), static_cast<std::size_t>(n));
                continue;
            }
            ::close(open[*place]);
            open.erase(open.begin() + static_cast<std::ptrdiff_t>(*place));
            which.erase(which.begin() + static_cast<std::ptrdiff_t>(*place));
        }
    }
    for (const std::string& text : reading)
        BOOST_TEST(text == "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    for (mp::Process& child : children)
        support::expect_exit(child);
}

} // namespace

BOOST_AUTO_TEST_SUITE(waiting)

MULTIFORK_EACH_START_METHOD(C_023_wait_for_plain_sockets) {
    lines_from_sockets(context, [](int, int) {});
}
MULTIFORK_EACH_START_METHOD(C_025_wait_for_slow_sockets) {
    lines_from_sockets(
        context, [](int i, int n) { std::this_thread::sleep_for((i * 37 + n * 53) % 100 * 1ms); });
}

BOOST_AUTO_TEST_SUITE_END()
