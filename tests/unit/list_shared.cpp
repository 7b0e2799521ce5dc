#include <multifork/channel/list.hpp>
#include <multifork/sync/barrier.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/own_name.hpp"

#include <boost/test/unit_test.hpp>

#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;

// A List as an object that many have: its memory, its lock, its name, and what is thrown inside.

namespace {

/// Throws when it is encoded or decoded, as it is told.
struct Moody {
    std::string text;
    static inline bool refuses_to_go = false;
    static inline bool refuses_to_come = false;

    template <class Archive>
    void save(Archive& archive) const {
        if (refuses_to_go)
            throw std::runtime_error("not like this");
        archive(text);
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(text);
        if (refuses_to_come)
            throw std::runtime_error("not like this either");
    }
    bool operator==(const Moody&) const = default;
};

std::string text(std::size_t n) {
    return "element number " + std::to_string(n);
}

} // namespace

BOOST_AUTO_TEST_SUITE(list)

BOOST_AUTO_TEST_CASE(a_dropped_list_gives_all_its_memory_back) {
    const auto before = mp::arena::arena_usage();
    {
        mp::List<std::string> texts;
        for (std::size_t i = 0; i < 100; ++i)
            texts.append(text(i));
        mp::List<std::uint64_t> numbers; // that look like places in the arena
        for (std::uint64_t i = 0; i < 100; ++i)
            numbers.append(i * 64);
        const auto same = texts;
        BOOST_TEST(mp::arena::arena_usage().blocks_used == before.blocks_used + 104);
    }
    BOOST_TEST(mp::arena::arena_usage().blocks_used == before.blocks_used);
    BOOST_TEST(mp::arena::arena_usage().bytes_used == before.bytes_used);
}

BOOST_AUTO_TEST_CASE(copies_of_the_handle_are_the_same_list_and_copy_is_another) {
    mp::List<int> list{1, 2};
    auto same = list;
    auto other = mp::copy(list);
    same.append(3);
    other.append(4);
    BOOST_TEST((list.copy() == std::vector<int>{1, 2, 3}));
    BOOST_TEST((other.copy() == std::vector<int>{1, 2, 4}));
}

BOOST_AUTO_TEST_CASE(an_exception_of_the_users_leaves_the_list_as_it_was) {
    const auto before = mp::arena::arena_usage().blocks_used;
    mp::List<Moody> list{{"a"}, {"b"}};
    const std::vector<Moody> values{{"a"}, {"b"}};
    const auto blocks = mp::arena::arena_usage().blocks_used;
    const auto refused = [&](auto act) {
        BOOST_CHECK_THROW(act(), std::runtime_error);
        Moody::refuses_to_go = Moody::refuses_to_come = false;
        BOOST_TEST((list.copy() == values));
        BOOST_TEST(mp::arena::arena_usage().blocks_used == blocks);
    };
    Moody::refuses_to_go = true;
    refused([&] { list.append({"c"}); });
    Moody::refuses_to_go = true;
    refused([&] { list.set(0, {"c"}); });
    Moody::refuses_to_go = true;
    refused([&] { list *= 2; });
    Moody::refuses_to_come = true;
    refused([&] { static_cast<void>(list.at(0)); });
    Moody::refuses_to_come = true;
    refused([&] { list.pop(); });
    Moody::refuses_to_come = true;
    refused([&] { list.sort({}, &Moody::text); });
    refused([&] {
        list.fetch_update(0, [](Moody& moody) {
            moody.text = "z";
            throw std::runtime_error("changed my mind");
        });
    });
    refused([&] {
        list.sort([](const Moody&, const Moody&) -> bool { throw std::runtime_error("no order"); });
    });
    refused([&] {
        list.extend(std::views::iota(0, 5) | std::views::transform([](int i) {
                        if (i == 3)
                            throw std::runtime_error("enough");
                        return Moody{"x"};
                    }));
    });
    list.clear();
    BOOST_TEST(mp::arena::arena_usage().blocks_used <= before + 2);
}

BOOST_AUTO_TEST_CASE(a_function_that_uses_its_own_list_is_told_so) {
    mp::List<int> list{1, 2};
    mp::List<int> other{1};
    support::expect_error<mp::WouldDeadlock>(
        [&] { list.fetch_update(0, [&](int& value) { value += list.at(1); }); },
        {"from within", "List"});
    BOOST_TEST((list.copy() == std::vector<int>{1, 2}));
    list.fetch_update(0, [&](int& value) { value += other.at(0); });
    BOOST_TEST(list.at(0) == 2);
}

// Fails when the list is not locked from the read to the write.
BOOST_AUTO_TEST_CASE(increments_of_threads_and_processes_are_kept) {
    mp::List<int> list{0};
    mp::List<std::string> texts;
    mp::Barrier start{2};
    const int rounds = support::scaled(5'000);
    const auto work = [&] {
        start.arrive_and_wait();
        for (int i = 0; i < rounds; ++i) {
            if (i % 4 == 0)
                list.fetch_update(0, [](int& number) {
                    std::this_thread::yield();
                    number += 1;
                });
            else
                list.fetch_add(0, 1);
            texts.append(text(static_cast<std::size_t>(i)));
            if (i % 3 == 0)
                static_cast<void>(texts.pop(0));
        }
    };
    std::thread other(work);
    support::run_in_child(work);
    other.join();
    BOOST_TEST(list.at(0) == 2 * rounds);
    BOOST_TEST(texts.size() == 2 * static_cast<std::size_t>(rounds - (rounds + 2) / 3));
}

BOOST_AUTO_TEST_CASE(named_lists) {
    auto made = mp::List<std::string>::create(support::own_name("list"));
    made.extend({"a", "b"});
    support::run_in_child([] {
        auto list = mp::List<std::string>::open(support::own_name("list"));
        support::demand(list.size() == 2);
        list.append("c");
    });
    BOOST_TEST((made.copy() == std::vector<std::string>{"a", "b", "c"}));
    BOOST_TEST(mp::List<std::string>::open_or_create(support::own_name("list")).size() == 3u);
    support::expect_error<mp::LayoutMismatch>(
        [] { mp::List<int>::open(support::own_name("list")); },
        {support::own_name("list"), "List"});
    support::expect_error<mp::AlreadyExists>(
        [] { mp::List<std::string>::create(support::own_name("list")); },
        {support::own_name("list")});
    support::expect_error<mp::NotFound>([] { mp::List<int>::open(support::own_name("list-none")); },
                                        {"none"});
    BOOST_TEST(mp::List<std::string>::remove(support::own_name("list")));
}

// In the middle of an append, a set, a sort, ...: the list stays as it was, and goes on.
BOOST_AUTO_TEST_CASE(a_list_whose_memory_is_full) {
    auto list = mp::List<std::string>::create(support::own_name("full-list"), 16u << 10);
    std::vector<std::string> model;
    const auto fill = [&](auto act) {
        for (;;) {
            try {
                act();
            } catch (const mp::OutOfSharedMemory& error) {
                BOOST_TEST(std::string(error.what()).find("message_bytes") != std::string::npos);
                return;
            }
        }
    };
    fill([&] {
        list.append(text(model.size()));
        model.push_back(text(model.size()));
    });
    BOOST_TEST(model.size() > 10u);
    BOOST_TEST((list.copy() == model));
    BOOST_CHECK_THROW(list.extend(model), mp::OutOfSharedMemory);
    BOOST_CHECK_THROW(list *= 3, mp::OutOfSharedMemory);
    BOOST_CHECK_THROW(list.set(0, std::string(16'000, 'x')), mp::OutOfSharedMemory);
    BOOST_TEST((list.copy() == model));
    while (!model.empty()) { // taking from the end needs no memory
        BOOST_TEST(list.pop() == model.back());
        model.pop_back();
    }
    fill([&] {
        list.insert(0, text(model.size()));
        model.insert(model.begin(), text(model.size()));
    });
    BOOST_TEST((list.copy() == model));
    list.clear();
    list.append("still good");
    BOOST_TEST(list.at(0) == "still good");
}

BOOST_AUTO_TEST_SUITE_END()
