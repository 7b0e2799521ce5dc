#include <multifork/channel/queue.hpp>
#include <multifork/channel/shareable_list.hpp>
#include <multifork/channel/shared_memory.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/own_name.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;
using mp::ListItem;
using mp::ShareableList;
using mp::SharedMemory;

namespace {
std::vector<std::byte> bytes(std::string_view text) {
    std::vector<std::byte> made(text.size());
    std::memcpy(made.data(), text.data(), text.size());
    return made;
}
} // namespace

BOOST_AUTO_TEST_SUITE(shared_memory)

BOOST_AUTO_TEST_CASE(new_memory_is_zero_and_as_long_as_asked_for) {
    auto memory = SharedMemory::create(1000);
    BOOST_TEST(memory.size() == 1000u);
    BOOST_TEST(memory.buf().size() == 1000u);
    BOOST_TEST(std::ranges::all_of(memory.buf(), [](std::byte b) { return b == std::byte{}; }));
    BOOST_TEST(memory.name().starts_with("psm_"));
    BOOST_TEST(fmt::format("{}", memory) == "<SharedMemory '" + memory.name() + "' 1000>");
}

BOOST_AUTO_TEST_CASE(closing_ends_the_use_in_one_process) {
    auto memory = SharedMemory::create(support::own_name("shm"), 10);
    auto copy = memory;
    support::run_in_child([&] {
        memory.buf()[1] = std::byte{7};
        memory.close();
    });
    BOOST_TEST((copy.buf()[1] == std::byte{7}));
    copy.close();
    copy.close();
    BOOST_TEST(memory.closed());
    BOOST_TEST(memory.size() == 0u);
    BOOST_TEST(memory.name() == support::own_name("shm"));
    support::expect_error<mp::InvalidArgument>([&] { static_cast<void>(memory.buf()); },
                                               {support::own_name("shm"), "closed"});
    support::expect_error<mp::NotFound>([] { SharedMemory::open(support::own_name("shm")); },
                                        {support::own_name("shm")});
    memory.unlink(); // it went with its last user
    support::expect_error<mp::NotFound>([&] { memory.unlink(); }, {support::own_name("shm")});
    BOOST_TEST(SharedMemory{}.closed());
    support::expect_error<mp::InvalidArgument>([] { static_cast<void>(SharedMemory{}.buf()); }, {});
    support::expect_error<mp::NotFound>([] { SharedMemory{}.unlink(); }, {});
}

// The name went, and means another memory since.
BOOST_AUTO_TEST_CASE(unlink_takes_no_name_away_that_is_somebody_elses) {
    const std::string name = support::own_name("shm-taken");
    auto mine = SharedMemory::create(name, 10);
    auto closed = SharedMemory::open(name);
    BOOST_TEST(SharedMemory::remove(name));
    auto theirs = SharedMemory::create(name, 20);
    support::expect_error<mp::NotFound>([&] { mine.unlink(); }, {name, "before"});
    BOOST_TEST(SharedMemory::open(name).size() == 20u);
    closed.close();
    mine.close();
    closed.unlink(); // it went with its last user
    BOOST_TEST(SharedMemory::open(name).size() == 20u);
    theirs.unlink();
    support::expect_error<mp::NotFound>([&] { theirs.unlink(); }, {name});
    support::expect_error<mp::NotFound>([&] { SharedMemory::open(name); }, {name});
}

BOOST_AUTO_TEST_CASE(what_is_killed_leaves_no_memory_behind) {
    support::RawChild child([] {
        auto memory = SharedMemory::create(support::own_name("shm-killed"), 10);
        static_cast<void>(::raise(SIGKILL));
        return 0;
    });
    child.wait();
    support::expect_error<mp::NotFound>([] { SharedMemory::open(support::own_name("shm-killed")); },
                                        {});
}

BOOST_AUTO_TEST_CASE(other_objects_are_no_memory) {
    auto list = ShareableList::create(support::own_name("shm-list"), {1});
    support::expect_error<mp::LayoutMismatch>(
        [] { SharedMemory::open(support::own_name("shm-list")); }, {});
    auto memory = SharedMemory::create(support::own_name("shm-plain"), 100);
    support::expect_error<mp::LayoutMismatch>(
        [] { ShareableList::open(support::own_name("shm-plain")); }, {});
}

BOOST_AUTO_TEST_CASE(lists_hold_items_of_every_type) {
    const std::vector<ShareableList::Item> items{
        42, -2.5, "howdy", true, {}, ListItem(bytes("b\0c")), ""};
    auto list = ShareableList::create(items);
    BOOST_TEST(list.size() == 7u);
    BOOST_TEST((std::get<std::int64_t>(list.at(0)) == 42));
    BOOST_TEST((std::get<double>(list[1]) == -2.5));
    BOOST_TEST((std::get<std::string>(list[2]) == "howdy"));
    BOOST_TEST(std::get<bool>(list[3]));
    BOOST_TEST((list[4].index() == 0u));
    BOOST_TEST((std::get<std::vector<std::byte>>(list[5]) == bytes("b\0c")));
    BOOST_TEST((std::get<std::string>(list[6]).empty()));
    BOOST_TEST(list.format() == "qd8sxxxxxxx?xxxxxx?x8s8s");
    BOOST_TEST(std::ranges::equal(list.to_vector(), items));
    support::expect_error<mp::InvalidArgument>([&] { static_cast<void>(list.at(7)); }, {"7"});
}

BOOST_AUTO_TEST_CASE(trailing_zero_bytes_are_kept) {
    using namespace std::string_literals;
    auto list = ShareableList::create({"?\0"s, ListItem(std::vector<std::byte>(12)), "\0\0\0"s});
    BOOST_TEST((std::get<std::string>(list[0]) == "?\0"s));
    BOOST_TEST((std::get<std::vector<std::byte>>(list[1]).size() == 12u));
    BOOST_TEST((std::get<std::string>(list[2]).size() == 3u));
}

BOOST_AUTO_TEST_CASE(items_are_replaced_by_what_fits) {
    auto list = ShareableList::create({"howdy", 1, std::string(20, 'x')});
    list.set(0, "1234567");
    list.set(1, "abc");
    list.set(2, 3.5);
    BOOST_TEST((std::get<std::string>(list[0]) == "1234567"));
    BOOST_TEST((std::get<std::string>(list[1]) == "abc"));
    BOOST_TEST((std::get<double>(list[2]) == 3.5));
    BOOST_TEST(list.format() == "8s8sd");
    support::expect_error<mp::InvalidArgument>([&] { list.set(0, "12345678"); }, {"8 bytes"});
    BOOST_TEST((std::get<std::string>(list[0]) == "1234567"));
    support::expect_error<mp::InvalidArgument>([&] { list.set(3, 1); }, {"3"});
}

BOOST_AUTO_TEST_CASE(negative_places_and_a_walk) {
    auto list = ShareableList::create({1, "b", 3});
    BOOST_TEST((std::get<std::int64_t>(list[-1]) == 3));
    BOOST_TEST((std::get<std::int64_t>(list.at(-3)) == 1));
    list.set(-2, "c");
    BOOST_TEST((std::get<std::string>(list.get(1).value()) == "c"));
    for (const std::ptrdiff_t none : {3, -4}) {
        support::expect_error<mp::InvalidArgument>([&] { static_cast<void>(list[none]); }, {"-1"});
        support::expect_error<mp::InvalidArgument>([&] { list.set(none, 1); }, {"-1"});
        BOOST_TEST(!list.get(none).has_value());
    }
    std::vector<ListItem> seen;
    for (const ListItem& item : list)
        seen.push_back(item);
    BOOST_TEST((seen == list.to_vector()));
    BOOST_TEST(seen.size() == 3u);
}

BOOST_AUTO_TEST_CASE(whole_numbers_keep_their_value) {
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    const std::uint64_t largest = most;
    auto list = ShareableList::create({largest, std::numeric_limits<std::int64_t>::min(), 'a'});
    BOOST_TEST((std::get<std::int64_t>(list[0]) == most));
    for (const std::uint64_t more : {largest + 1, ~std::uint64_t{0}}) {
        support::expect_error<mp::InvalidArgument>([&] { ShareableList::create({more}); },
                                                   {"2^63"});
        support::expect_error<mp::InvalidArgument>([&] { list.set(0, more); }, {"text"});
    }
    BOOST_TEST((std::get<std::int64_t>(list[0]) == most));
}

BOOST_AUTO_TEST_CASE(items_are_found_and_counted) {
    auto list = ShareableList::create({"a", 1, "b", 1, 1.0, {}});
    BOOST_TEST(list.count(1) == 2u);
    BOOST_TEST(list.count(1.0) == 1u);
    BOOST_TEST(list.count({}) == 1u);
    BOOST_TEST(list.count("c") == 0u);
    BOOST_TEST(list.index("b").value() == 2u);
    BOOST_TEST(!list.index(true).has_value());
}

BOOST_AUTO_TEST_CASE(lists_are_shared) {
    auto list = ShareableList::create(support::own_name("list"), {1, "text"});
    support::run_in_child([&] {
        auto same = ShareableList::open(support::own_name("list"));
        same.set(0, 5);
        list.set(1, "other");
    });
    BOOST_TEST((std::get<std::int64_t>(list[0]) == 5));
    BOOST_TEST((std::get<std::string>(list[1]) == "other"));
    mp::Queue<ShareableList> queue{1};
    queue.put(list);
    auto got = queue.get();
    got.set(0, 6);
    BOOST_TEST((std::get<std::int64_t>(list[0]) == 6));
    BOOST_TEST(ShareableList::create({}).size() == 0u);
    BOOST_TEST(fmt::format("{}", list) ==
               fmt::format("<ShareableList '{}' 2 items>", support::own_name("list")));
    list.shm().close();
    BOOST_TEST(fmt::format("{}", list) ==
               fmt::format("<ShareableList '{}' closed>", support::own_name("list")));
}

BOOST_AUTO_TEST_CASE(damaged_lists_are_reported) {
    auto list = ShareableList::create({1, "text"});
    auto* const words = reinterpret_cast<std::uint64_t*>(list.shm().buf().data());
    const std::uint64_t place = words[8];
    words[8] = 1u << 30;
    support::expect_error<mp::CorruptSharedMemory>([&] { static_cast<void>(list.at(0)); },
                                                   {"overwritten"});
    words[8] = place;
    words[2] = ~0ull; // count
    support::expect_error<mp::CorruptSharedMemory>(
        [&] { static_cast<void>(ShareableList::open(list.name())); }, {"items"});
    auto* const slot = reinterpret_cast<std::uint32_t*>(list.shm().buf().data() + place);
    slot[2] = slot[6] = 77; // the types in both copies
    support::expect_error<mp::CorruptSharedMemory>([&] { static_cast<void>(list.at(0)); },
                                                   {"overwritten"});
}

BOOST_AUTO_TEST_SUITE_END()
