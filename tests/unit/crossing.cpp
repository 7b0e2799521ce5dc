#include <multifork/multifork.hpp>

#include "support/blocks.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/own_name.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;
using multifork::arena::arena_usage;

namespace {

/// What a struct needs for that: nothing.
struct Question {
    std::string text;
    mp::Queue<int> answers;
};
struct Letter {
    int number = 0;
    std::vector<Question> questions;
    std::optional<mp::Lock> lock;
};

/// Its own namespace and this library's are both asked for a save().
template <class T>
struct Tagged {
    std::string tag;
    T value;
};
static_assert(mp::Crossable<Tagged<mp::Queue<int>>> && mp::Crossable<Tagged<std::vector<int>>>);
static_assert(!mp::Crossable<Tagged<int*>> && !mp::Crossable<Tagged<std::function<void()>>>);

} // namespace

// Handles in messages: what they lead to lives as long as somebody can still read the message.
BOOST_AUTO_TEST_SUITE(crossing)

BOOST_AUTO_TEST_CASE(a_queue_brings_every_kind_of_handle) {
    using Everything =
        std::tuple<mp::Lock, mp::RLock, mp::Semaphore, mp::BoundedSemaphore, mp::Event,
                   mp::Condition, mp::Barrier, mp::RWLock, mp::Value<int>, mp::Array<int>,
                   mp::RawArray<double>, mp::RawValue<int>, mp::Queue<int>,
                   mp::SimpleQueue<std::string>, mp::JoinableQueue<std::string>>;
    mp::Queue<Everything> queue{2};
    const std::uint64_t before = support::blocks_used();
    {
        queue.put({mp::Lock{}, mp::RLock{}, mp::Semaphore{3}, mp::BoundedSemaphore{2}, mp::Event{},
                   mp::Condition{}, mp::Barrier{1}, mp::RWLock{}, mp::Value<int>{7},
                   mp::Array<int>(std::vector{1, 2, 3}), mp::RawArray<double>(4),
                   mp::RawValue<int>{5}, mp::Queue<int>{6}, mp::SimpleQueue<std::string>{},
                   mp::JoinableQueue<std::string>{3}});
        // Nobody has a handle on any of them now.
        auto [lock, rlock, semaphore, bounded, event, condition, barrier, rwlock, value, array,
              raw_array, raw_value, inner, simple, joinable] = queue.get();
        {
            std::scoped_lock hold(lock, rlock);
            BOOST_TEST(!lock.try_lock());
        }
        BOOST_TEST(semaphore.try_acquire());
        BOOST_TEST(bounded.try_acquire());
        bounded.release();
        BOOST_CHECK(support::throws<mp::InvalidArgument>([&] { bounded.release(); }));
        event.set();
        condition.notify_all();
        BOOST_TEST(barrier.arrive_and_wait() == 0u);
        rwlock.lock_shared();
        rwlock.unlock_shared();
        BOOST_TEST(value.fetch_add(1) == 7);
        BOOST_TEST(array.at(2).get() == 3);
        BOOST_TEST(raw_array.size() == 4u);
        BOOST_TEST(raw_value.value().get() == 5);
        BOOST_TEST(inner.capacity() == 6u);
        inner.put(1);
        simple.put("x");
        joinable.put(std::string(1000, 'y'));
        BOOST_TEST(joinable.get().value().size() == 1000u);
    }
    BOOST_TEST(support::blocks_used() == before);
}

BOOST_AUTO_TEST_CASE(an_object_lives_as_long_as_a_message_brings_it) {
    const std::uint64_t before = support::blocks_used();
    {
        mp::Queue<mp::Value<int>> queue{4};
        std::optional<mp::Value<int>> value(std::in_place, 1);
        queue.put(*value);
        queue.put(*value);
        BOOST_TEST(support::blocks_used() == before + 6); // queue, value, two messages, two holds
        value.reset();
        BOOST_TEST(support::blocks_used() == before + 6);
        auto first = queue.get();
        BOOST_TEST(first.fetch_add(1) == 1);
        auto second = queue.get();
        BOOST_TEST(second.fetch_add(1) == 2);
        BOOST_TEST(support::blocks_used() == before + 4); // queue, value, a hold for each handle
    }
    BOOST_TEST(support::blocks_used() == before);
}

BOOST_AUTO_TEST_CASE(a_queue_that_goes_takes_along_what_its_messages_bring) {
    const std::uint64_t before = support::blocks_used();
    {
        mp::Queue<mp::Queue<std::string>> outer{4};
        for (int i = 0; i < 4; ++i) {
            mp::Queue<std::string> inner{2};
            inner.put(std::string(500, 'x'));
            outer.put(inner);
        }
        BOOST_TEST(outer.get().get().size() == 500u);
    }
    BOOST_TEST(support::blocks_used() == before);
}

BOOST_AUTO_TEST_CASE(a_child_gets_what_was_made_after_it_started) {
    mp::Queue<mp::Queue<std::string>> requests{4};
    mp::Process server{[&] {
        for (auto answer : requests)
            answer.put("hello from " + mp::this_process::name());
    }};
    server.start();
    for (int i = 0; i < 10; ++i) {
        mp::Queue<std::string> answer{1};
        requests.put(answer);
        BOOST_TEST(answer.get() == "hello from Process-1");
    }
    requests.close();
    support::expect_exit(server);
}

BOOST_AUTO_TEST_CASE(what_a_child_makes_outlives_the_child) {
    const std::uint64_t before = support::blocks_used();
    {
        mp::Queue<mp::Array<int>> results{1};
        mp::Process worker{[&] { results.put(mp::Array<int>(std::vector{1, 2, 3})); }};
        worker.start();
        support::expect_exit(worker);
        const auto array = results.get();
        BOOST_TEST(array.size() == 3u);
        BOOST_TEST(array[1].get() == 2);
    }
    BOOST_TEST(support::blocks_used() == before);
}

BOOST_AUTO_TEST_CASE(containers_of_handles_cross) {
    using Mixed = std::variant<int, mp::Event>;
    mp::Queue<std::map<std::string, std::vector<Mixed>>> queue{1};
    mp::Event event;
    queue.put({{"a", {Mixed(1), Mixed(event)}}, {"b", {}}});
    auto got = queue.get();
    std::get<mp::Event>(got.at("a").at(1)).set();
    BOOST_TEST(event.is_set());
    BOOST_TEST(std::get<int>(got.at("a").at(0)) == 1);
    BOOST_TEST(got.at("b").empty());
}

BOOST_AUTO_TEST_CASE(plain_structs_of_handles_cross) {
    mp::Queue<Question> questions{2};
    mp::Process child{[=] {
        for (const Question& question : questions)
            question.answers.put(static_cast<int>(question.text.size()));
    }};
    child.start();
    const Question mine{"how long?", mp::Queue<int>{1}};
    questions.put(mine);
    BOOST_TEST(mine.answers.get() == 9);
    questions.close();
    support::expect_exit(child);

    const std::uint64_t before = support::blocks_used();
    {
        mp::List<Letter> letters;
        letters.append({7, {mine, {"again", mp::Queue<int>{3}}}, mp::Lock{}});
        const Letter letter = letters.at(0);
        BOOST_TEST(letter.number == 7);
        BOOST_TEST(letter.questions.at(1).text == "again");
        letter.questions.at(0).answers.put(5);
        BOOST_TEST(mine.answers.get() == 5);
        letters.at(0).questions.at(1).answers.put(6);
        BOOST_TEST(letter.questions.at(1).answers.get() == 6);
        BOOST_TEST(letter.lock->try_lock());
        BOOST_TEST(!letters.at(0).lock->try_lock());
    }
    BOOST_TEST(support::blocks_used() == before);
}

BOOST_AUTO_TEST_CASE(a_function_crosses) {
    using Function = int (*)(int);
    mp::Queue<Function> queue{1};
    mp::Process child{[&] { support::demand(queue.get()(4) == 16); }};
    child.start();
    queue.put([](int x) { return x * x; });
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(a_named_object_crosses_by_its_name) {
    auto named = mp::Value<int>::create(support::own_name("value"), 3);
    mp::Queue<mp::Value<int>> queue{1};
    queue.put(named);
    BOOST_TEST(queue.get().fetch_add(1) == 3);
    BOOST_TEST(named.value().get() == 4);
}

// A stored handle keeps an object without a name; of one with a name it is the name.
BOOST_AUTO_TEST_CASE(a_list_keeps_what_has_no_name) {
    mp::List<mp::Value<int>> list;
    list.append(mp::Value<int>{3});
    BOOST_TEST(list.at(0).load() == 3);
    {
        const auto named = mp::Value<int>::create(support::own_name("kept"), 4);
        list.append(named);
        BOOST_TEST(list.at(1).load() == 4);
    }
    support::expect_error<mp::NotFound>([&] { static_cast<void>(list.at(1)); },
                                        {support::own_name("kept")});
    BOOST_TEST(list.at(0).load() == 3);
}

// Programs that were built apart, or a message that was overwritten.
BOOST_AUTO_TEST_CASE(a_handle_that_means_more_than_is_there) {
    using Large = std::array<std::int64_t, 100>;
    const auto refused = [](const auto& arrive) {
        support::expect_error<mp::CorruptSharedMemory>([&] { arrive(); }, {"bytes", "definition"});
    };
    const mp::Barrier barrier{2};
    refused([&] { mp::Barrier::arrive({barrier.crossing().object, {3, ~std::uint64_t{0}}}); });
    refused([&] { mp::Barrier::arrive({barrier.crossing().object, {16'384, 0}}); });
    BOOST_TEST(mp::Barrier::arrive(barrier.crossing()).parties() == 2u);
    const mp::Value<int> value;
    refused([&] { mp::Value<Large>::arrive(value.crossing()); });
    const mp::RawValue<int> raw;
    refused([&] { mp::RawValue<Large>::arrive(raw.crossing()); });
    refused([&] { mp::Array<int>::arrive(raw.crossing()); });
}

BOOST_AUTO_TEST_CASE(what_cannot_cross_says_so) {
    mp::Queue<mp::Lock> locks{1};
    BOOST_CHECK(support::throws<mp::NotShareable>([&] { locks.put(mp::Lock([] {})); }));
    mp::Queue<mp::Barrier> barriers{1};
    BOOST_CHECK(support::throws<mp::NotShareable>([&] { barriers.put(mp::Barrier(1, [] {})); }));
    auto named = mp::Queue<mp::Lock>::create(support::own_name("locks"), 1);
    BOOST_CHECK(support::throws<mp::NotShareable>([&] { named.put(mp::Lock{}); }));
    const mp::Value<int> value;
    const mp::Array<int> array(1);
    for (const mp::Lock& part : {value.get_lock(), array.get_lock()})
        support::expect_error<mp::NotShareable>([&] { locks.put(part); }, {"give the Value"});
    BOOST_TEST(locks.empty());
    BOOST_TEST(named.empty());
    static_assert(!mp::Crossable<std::vector<int*>>);
    static_assert(!mp::Crossable<std::function<void()>>);
}

BOOST_AUTO_TEST_SUITE_END()
