#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/start_methods.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;

// What a target is called with, whichever way its process was started.

namespace {

struct Plain {
    int number;
    std::array<char, 8> text;
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

BOOST_AUTO_TEST_SUITE_END()
