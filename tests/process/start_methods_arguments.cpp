#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/holes.hpp"
#include "support/start_methods.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::string_literals;

// What a target is called with, whichever way its process was started.

namespace {

struct Plain {
    int number;
    std::array<char, 8> text;
};
struct Holed {
    char letter;
    double number;
    bool flag;
};
struct Mixed {
    std::string text;
    std::vector<int> numbers;
};

} // namespace

BOOST_AUTO_TEST_SUITE(start_methods_arguments)

MULTIFORK_EACH_START_METHOD(arguments_of_all_kinds) {
    using Either = std::variant<int, mp::Queue<int>>;
    mp::Queue<int> sum{8};
    const auto target =
        [](int n, const std::string& s, const Plain& plain, const Mixed& mixed,
           const std::vector<mp::Queue<int>>& queues, const std::tuple<int, mp::Lock>& both,
           const std::optional<mp::Value<int>>& some, const std::optional<mp::Value<int>>& none,
           std::map<std::string, mp::Queue<int>> named, Either either,
           void (*function)(mp::Queue<int>)) {
            support::demand(n == 1 && s == "two" && plain.number == 3 && plain.text[1] == 'b');
            support::demand(mixed.text == "mixed" && mixed.numbers == std::vector<int>{4, 5});
            support::demand(queues.size() == 2 && std::get<0>(both) == 6);
            mp::Lock lock = std::get<1>(both);
            support::demand(lock.owner().has_value() && !lock.try_lock());
            support::demand(some.value().load() == 7 && !none.has_value());
            for (mp::Queue<int> each : queues)
                each.put(1);
            named.at("a").put(1);
            std::get<mp::Queue<int>>(either).put(1);
            function(queues[0]);
        };
    const mp::Value<int> seven{7};
    mp::Lock lock;
    const std::scoped_lock hold(lock);
    support::run_in_child(
        context, target, 1, std::string("two"), Plain{3, {"ab"}}, Mixed{"mixed", {4, 5}},
        std::vector{sum, sum}, std::tuple<int, mp::Lock>{6, lock}, std::optional(seven),
        std::optional<mp::Value<int>>(), std::map<std::string, mp::Queue<int>>{{"a", sum}},
        Either(sum), +[](mp::Queue<int> out) { out.put(1); });
    BOOST_TEST(sum.size() == 5u);
}

MULTIFORK_EACH_START_METHOD(a_closure_that_captures_by_value) {
    mp::Queue<int> out{1};
    const Plain plain{40, {"ab"}};
    int two = 2; // not const: a constant needs no capture, says clang
    support::run_in_child(
        context, [plain, two](mp::Queue<int> tell) { tell.put(plain.number + two); }, out);
    BOOST_TEST(out.get() == 42);
}

// The order keeps it until the child has it, and then the child does.
MULTIFORK_EACH_START_METHOD(the_parent_drops_its_handles_right_after_start) {
    mp::Event go;
    mp::Queue<int> result{1};
    std::optional<mp::Process> child;
    const auto before = mp::arena::arena_usage().blocks_used;
    {
        mp::Queue<int> queue{4};
        const mp::Value<int> value{2};
        const mp::Lock lock;
        queue.put(40);
        child = context.process(
            [](mp::Event gate, mp::Queue<int> q, mp::Value<int> v, mp::Lock l, mp::Queue<int> out) {
                gate.wait();
                const std::scoped_lock hold(l);
                out.put(q.get() + v.load());
            },
            go, queue, value, lock, result);
        child->start();
    }
    // Others come to lie where the dropped ones would have been.
    std::vector<mp::Value<int>> in_their_place(20, mp::Value<int>{-1});
    go.set();
    support::expect_exit(*child);
    BOOST_TEST((result.try_get() == 42));
    child.reset();
    in_their_place.clear();
    mp::arena::tree_space().sweep();
    BOOST_TEST(mp::arena::arena_usage().blocks_used == before);
}

MULTIFORK_EACH_START_METHOD(named_objects_as_arguments) {
    const std::string name = "start-" + context.get_start_method() + std::to_string(::getpid());
    std::optional<mp::Process> child;
    auto result = mp::Queue<int>::create(name + "-result", 1);
    {
        auto queue = mp::Queue<int>::create(name + "-queue", 1);
        const auto lock = mp::Lock::create(name + "-lock");
        queue.put(42);
        child = context.process(
            [](mp::Queue<int> in, mp::Lock l, mp::Queue<int> out) {
                const std::scoped_lock hold(l);
                out.put(in.get());
            },
            queue, lock, result);
        child->start();
    } // kept for the child, although this process has dropped it
    support::expect_exit(*child);
    BOOST_TEST((result.try_get() == 42));
    child.reset();
    BOOST_CHECK_THROW(static_cast<void>(mp::Queue<int>::open(name + "-queue", 1)), mp::NotFound);
}

MULTIFORK_EACH_START_METHOD(an_end_of_a_pipe_as_an_argument) {
    auto [reader, writer] = mp::Pipe<std::string>(false);
    mp::Process child = context.process(
        [](mp::Connection<std::string> theirs, mp::Connection<std::string> out) {
            theirs.close();
            out.send("hello");
        },
        reader, writer);
    child.start();
    writer.close();
    BOOST_TEST(reader.recv() == "hello");
    BOOST_CHECK_THROW(static_cast<void>(reader.recv()), mp::EndOfStream);
    support::expect_exit(child);
}

// As in Python, the child gets a copy: the stream ends when both have closed theirs.
MULTIFORK_EACH_START_METHOD(a_connection_through_a_socket_as_an_argument) {
    support::run_in_child(context, [] {}); // what is made once is made
    for (const auto& address : {mp::Address::any(), mp::Address("127.0.0.1", 0)}) {
        const auto descriptors = support::open_descriptors();
        {
            mp::Listener listener(address);
            mp::Connection<std::string> client;
            std::jthread connects([&] { client = mp::Client<std::string>(listener.address()); });
            auto accepted = listener.accept<std::string>();
            connects.join();
            mp::Process child = context.process(
                [](mp::Connection<std::string> mine, const std::string& word) {
                    mine.send(word + mine.recv());
                    mine.send(std::string(1'000'000, 'x'));
                },
                accepted, "got ");
            child.start();
            accepted.close();
            client.send("a message");
            BOOST_TEST(client.recv() == "got a message");
            BOOST_TEST(client.recv().size() == 1'000'000u);
            BOOST_CHECK_THROW(static_cast<void>(client.recv()), mp::EndOfStream);
            support::expect_exit(child);
        }
        BOOST_TEST(support::open_descriptors() == descriptors);
    }
}

MULTIFORK_EACH_START_METHOD(connections_through_sockets_go_on_to_a_grandchild) {
    mp::Listener listener;
    std::vector<mp::Connection<int>> clients(3);
    std::vector<mp::Connection<int>> accepted;
    std::jthread connects([&] {
        for (auto& client : clients)
            client = mp::Client<int>(listener.address());
    });
    for (int i = 0; i < 3; ++i)
        accepted.push_back(listener.accept<int>());
    connects.join();
    const auto child = [](const mp::StartMethod method,
                          const std::vector<mp::Connection<int>>& mine) {
        const auto grandchild = [](std::vector<mp::Connection<int>> theirs) {
            for (std::size_t i = 0; i < theirs.size(); ++i)
                theirs[i].send(theirs[i].recv() + static_cast<int>(i));
        };
        mp::Process process{{.start_method = method}, grandchild, mine};
        process.start();
        process.join();
        std::exit(process.exitcode().value());
    };
    mp::Process process = context.process(child, context.start_method(), accepted);
    process.start();
    accepted.clear();
    for (auto& client : clients)
        client.send(100);
    for (int i = 0; i < 3; ++i) {
        auto& client = clients[static_cast<std::size_t>(i)];
        BOOST_TEST(client.recv() == 100 + i);
        BOOST_CHECK_THROW(static_cast<void>(client.recv()), mp::EndOfStream);
    }
    support::expect_exit(process);
}

// What has come of a message goes along.
MULTIFORK_EACH_START_METHOD(a_socket_in_the_middle_of_a_message_as_an_argument) {
    mp::Listener listener;
    mp::Connection<> client;
    std::jthread connects([&] { client = mp::Client(listener.address()); });
    auto accepted = listener.accept();
    connects.join();
    const std::string message = "\0\0\0\6"
                                "abcdef"s;
    for (const std::size_t first : {2u, 7u}) {
        BOOST_REQUIRE(::write(client.fileno(), message.data(), first) ==
                      static_cast<ssize_t>(first));
        BOOST_TEST(!accepted.try_recv_bytes().has_value()); // has read it
        mp::Process child = context.process(
            [](mp::Connection<> mine) { mine.send_bytes(mine.recv_bytes()); }, accepted);
        child.start();
        const std::size_t rest = message.size() - first;
        BOOST_REQUIRE(::write(client.fileno(), message.data() + first, rest) ==
                      static_cast<ssize_t>(rest));
        BOOST_TEST(client.recv_bytes().size() == 6u);
        support::expect_exit(child);
        // This process still has the first part, as a forked parent has; it goes on with the next.
        BOOST_REQUIRE(::write(client.fileno(), message.data() + first, rest) ==
                      static_cast<ssize_t>(rest));
        BOOST_TEST(accepted.recv_bytes().size() == 6u);
    }
}

MULTIFORK_EACH_START_METHOD(a_pipe_for_descriptors_as_an_argument) {
    auto [mine, theirs] = mp::Pipe<int>({.descriptors = true});
    mp::Process child = context.process(
        [](mp::Connection<int> end) {
            const int fd = end.recv_fd();
            end.send_fd(fd);
            end.send(7);
            ::close(fd);
        },
        theirs);
    child.start();
    theirs.close();
    const int one = ::memfd_create("sent", MFD_CLOEXEC);
    BOOST_REQUIRE(::write(one, "text", 4) == 4);
    mine.send_fd(one);
    const int back = mine.recv_fd();
    BOOST_TEST(mine.recv() == 7);
    char text[4] = {};
    BOOST_TEST(::pread(back, text, 4, 0) == 4);
    BOOST_TEST(std::string(text, 4) == "text");
    ::close(one);
    ::close(back);
    support::expect_exit(child);
    BOOST_CHECK_THROW(static_cast<void>(mine.recv_fd()), mp::EndOfStream);
}

BOOST_AUTO_TEST_CASE(a_connection_with_a_descriptor_is_no_message) {
    mp::Listener listener;
    mp::Connection<int> client;
    std::jthread connects([&] { client = mp::Client<int>(listener.address()); });
    auto accepted = listener.accept<int>();
    connects.join();
    auto [sender, receiver] = mp::Pipe<mp::Connection<int>>();
    support::expect_error<mp::Error>([&, &out = sender] { out.send(accepted); },
                                     {"argument", "send_fd()"});
    auto [end, other] = mp::Pipe<int>({.descriptors = true});
    support::expect_error<mp::Error>([&, &out = sender, &one = end] { out.send(one); },
                                     {"argument", "descriptors"});
    BOOST_TEST(!receiver.poll());
}

// More than the fork server can be sent: refused, and nothing is left open.
BOOST_AUTO_TEST_CASE(too_many_sockets_for_the_fork_server) {
    const support::ServerStops at_the_end;
    mp::Listener listener;
    mp::Connection<int> client;
    std::jthread connects([&] { client = mp::Client<int>(listener.address()); });
    const std::vector<mp::Connection<int>> many(254, listener.accept<int>());
    connects.join();
    const auto count = [](const std::vector<mp::Connection<int>>& arrived) {
        std::exit(static_cast<int>(arrived.size()));
    };
    const auto context = mp::get_context("forkserver");
    support::run_in_child(context, [] {});
    const auto descriptors = support::open_descriptors();
    mp::Process refused = context.process(count, many);
    support::expect_error<mp::NotShareable>([&] { refused.start(); }, {"254", "253", "spawn"});
    BOOST_TEST(support::open_descriptors() == descriptors);
    mp::Process most = context.process(count, std::vector(many.begin() + 1, many.end()));
    most.start();
    support::expect_exit(most, 253);
    mp::Process spawned = mp::get_context("spawn").process(count, many);
    spawned.start();
    support::expect_exit(spawned, 254);
}

// Text is copied for a child that has not its parent's memory, and is there as long as the target
// runs.
MULTIFORK_EACH_START_METHOD(text_in_quotes_as_an_argument) {
    const auto target = [](const char* pointer, const std::string& string, std::string_view view,
                           const char* empty, const char* nothing) {
        const std::string before(pointer);
        const std::vector<std::string> in_the_way(100, std::string(200, 'x'));
        support::demand(before == "hello" && pointer == before);
        support::demand(string == "a longer text that no string keeps inside of itself");
        support::demand(view == "world" && std::string_view(empty).empty());
        support::demand(nothing == nullptr);
    };
    const char* const none = nullptr;
    {
        std::string gone("world"); // by the time that the child looks
        mp::Process child =
            context.process(target, "hello", "a longer text that no string keeps inside of itself",
                            std::as_const(gone).c_str(), "", none);
        child.start();
        if (context.start_method() != mp::StartMethod::fork)
            gone.assign("spoilt");
        support::expect_exit(child);
    }
    // As a literal, a pointer and an array of constants are.
    static const char array[] = "an array";
    support::run_in_child(
        context, [](const std::string& text) { support::demand(text == "an array"); }, array);
}

// By fork nothing is copied: the pointer means the same bytes.
BOOST_AUTO_TEST_CASE(a_pointer_to_text_stays_one_in_a_forked_child) {
    const char text[] = {'n', 'o', 'e', 'n', 'd'};
    const char* const here = text;
    support::run_in_child(
        mp::get_context("fork"),
        [here](const char* there) { support::demand(there == here && there[4] == 'd'); }, here);
}

// As every struct and closure of plain values may have, by chance.
MULTIFORK_EACH_START_METHOD(an_address_in_the_padding_is_none_that_was_captured) {
    support::OverAddresses<Holed> holed;
    holed->letter = 'a';
    holed->number = 0.5;
    holed->flag = true;
    const auto check = [](const Holed& it) {
        support::demand(it.letter == 'a' && it.number == 0.5 && it.flag);
    };
    support::run_in_child(context, check, *holed);
    support::run_in_child(context, [it = *holed] { support::demand(it.number == 0.5); });
    support::OverAddresses<std::array<Holed, 20>> many;
    many->fill(*holed);
    support::run_in_child(context, [all = *many] { support::demand(all[19].letter == 'a'); });
}

BOOST_AUTO_TEST_SUITE_END()
