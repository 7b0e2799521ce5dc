#include <multifork/channel/queue.hpp>
#include <multifork/channel/shareable_list.hpp>
#include <multifork/channel/shared_memory.hpp>
#include <multifork/process/process.hpp>
#include <multifork/sync/semaphore.hpp>

#include "start_methods.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/own_name.hpp"
#include "support/program.hpp"

#include <boost/test/unit_test.hpp>

#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;
using mp::ShareableList;
using mp::SharedMemory;

namespace {

std::byte byte(int n) {
    return static_cast<std::byte>(n);
}
void write(const SharedMemory& memory, std::string_view text) {
    std::memcpy(memory.buf().data(), text.data(), text.size());
}
std::string read(const SharedMemory& memory, std::size_t length) {
    return {reinterpret_cast<const char*>(memory.buf().data()), length};
}

/// What a queue does with an item: it is written in one process and restored in another.
template <class T>
T travel(const T& value) {
    mp::Queue<T> queue{1};
    queue.put(value);
    return queue.get();
}
template <class T>
std::size_t encoded_size(const T& value) {
    std::vector<std::byte> bytes;
    mp::encode(value, bytes);
    return bytes.size();
}

std::string children_of_this_process() {
    std::ifstream file("/proc/thread-self/children");
    std::string text;
    std::getline(file, text);
    return text;
}

/// Opens what another program has, and ends with 0 without closing it.
const support::Program attacher{"attach to conf-shm-tracked", [] {
                                    auto memory = SharedMemory::open("conf-shm-tracked");
                                    return memory.buf()[0] == byte(9) ? 0 : 1;
                                }};
const support::Program once_more{"attach to conf-shm-kept", [] {
                                     auto memory = SharedMemory::open("conf-shm-kept");
                                     return memory.buf()[0] == byte(9) ? 0 : 1;
                                 }};
const support::Program list_maker{"make a list and drop it", [] {
                                      const std::vector<ShareableList::Item> ten(10, 1);
                                      auto list = ShareableList::create(ten);
                                      return list.size() == 10 ? 0 : 1;
                                  }};

} // namespace

// Our rule: the memory lives until its last user has gone. unlink() takes the name away at once.
BOOST_AUTO_TEST_SUITE(shm)

BOOST_AUTO_TEST_CASE(H_004_basics) {
    auto memory = SharedMemory::create(support::own_name("shm"), 512);
    BOOST_TEST(memory.name() == support::own_name("shm"));
    BOOST_TEST(memory.size() >= 512u);
    BOOST_TEST(memory.to_string().find(support::own_name("shm")) != std::string::npos);
    BOOST_TEST(memory.to_string().find("512") != std::string::npos);
    memory.buf()[0] = byte(42);
    auto second = SharedMemory::open(support::own_name("shm"));
    BOOST_TEST((second.buf()[0] == byte(42)));
    second.buf()[1] = byte(43);
    BOOST_TEST((memory.buf()[1] == byte(43)));
    // There is no way to give a size to open(); open_or_create() gives the old one.
    for (std::size_t i = 0; i < 20; ++i)
        BOOST_TEST(SharedMemory::open_or_create(support::own_name("shm"), 100 + 50 * i).size() ==
                   512u);
    const auto minus_two = static_cast<std::size_t>(-2);
    support::expect_error<mp::InvalidArgument>(
        [&] { SharedMemory::create(support::own_name("x"), minus_two); }, {"-2"});
    support::expect_error<mp::InvalidArgument>([] { SharedMemory::open(""); }, {});
    support::expect_error<mp::AlreadyExists>(
        [] { SharedMemory::create(support::own_name("shm"), 512); }, {support::own_name("shm")});
    second.close();
    memory.unlink();
    BOOST_TEST((memory.buf()[0] == byte(42)));
    support::expect_error<mp::NotFound>([&] { memory.unlink(); }, {support::own_name("shm")});
    support::expect_error<mp::NotFound>([] { SharedMemory::open(support::own_name("shm")); },
                                        {support::own_name("shm")});
}

BOOST_AUTO_TEST_CASE(H_005_a_generated_name_that_is_taken_is_replaced) {
    int turn = 0;
    const auto next_name = [&] { return support::own_name("name-" + std::to_string(turn++ / 2)); };
    const auto make = [&] {
        return SharedMemory::create_with(next_name, 1, mp::arena::Kind::shared_memory,
                                         [](std::byte*) {});
    };
    const auto first = make();  // 0
    const auto second = make(); // 0 is taken, 1
    const auto third = make();  // 1 is taken, 2
    BOOST_TEST(first.name() == support::own_name("name-0"));
    BOOST_TEST(second.name() == support::own_name("name-1"));
    BOOST_TEST(third.name() == support::own_name("name-2"));
}

// To have no size at all does not compile.
BOOST_AUTO_TEST_CASE(H_006_sizes_that_cannot_be) {
    support::expect_error<mp::InvalidArgument>(
        [] { SharedMemory::create(static_cast<std::size_t>(-1)); }, {"-1"});
    support::expect_error<mp::InvalidArgument>([] { SharedMemory::create(0); }, {"0 bytes"});
}

BOOST_AUTO_TEST_CASE(H_007_a_handle_travels) {
    auto memory = SharedMemory::create(64);
    auto same = travel(memory);
    BOOST_TEST(same.name() == memory.name());
    write(memory, "newval");
    BOOST_TEST(read(same, 6) == "newval");
    write(same, "oldval");
    BOOST_TEST(read(memory, 6) == "oldval");
}

BOOST_AUTO_TEST_CASE(H_008_a_handle_that_travels_too_long_finds_nothing) {
    mp::Queue<SharedMemory> queue{1};
    {
        auto memory = SharedMemory::create(64);
        queue.put(memory);
        memory.close();
        memory.unlink();
    }
    support::expect_error<mp::NotFound>([&] { static_cast<void>(queue.get()); }, {});
}

MULTIFORK_EACH_START_METHOD(H_009_children_write_by_name_and_by_handle) {
    auto memory = SharedMemory::create(10);
    support::run_in_child(
        context, [](const std::string& name) { write(SharedMemory::open(name), "howdy"); },
        memory.name());
    BOOST_TEST(read(memory, 5) == "howdy");
    support::run_in_child(
        context, [](const SharedMemory& given) { write(given, "HELLO"); }, memory);
    BOOST_TEST(read(memory, 5) == "HELLO");
}

BOOST_AUTO_TEST_CASE(H_011_a_list_that_is_dropped_is_no_leak) {
    const auto result = support::run_program("make a list and drop it");
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.err == "");
}

// There is no manager: a scope is one. What was made in it goes at its end, if nobody else uses it.
BOOST_AUTO_TEST_CASE(H_012_a_scope_manages_lists_and_blocks) {
    std::vector<std::string> names;
    {
        std::vector<ShareableList> lists;
        std::vector<SharedMemory> blocks;
        for (std::size_t n = 5; n < 10; ++n)
            lists.push_back(ShareableList::create(std::vector<ShareableList::Item>(n, 1)));
        for (std::size_t n = 32; n <= 112; n += 16)
            blocks.push_back(SharedMemory::create(n));
        BOOST_TEST(ShareableList::open(lists[0].name()).size() == 5u);
        BOOST_TEST(SharedMemory::open(blocks[0].name()).size() >= 32u);
        for (const auto& list : lists)
            names.push_back(list.name());
        for (const auto& block : blocks)
            names.push_back(block.name());
    }
    for (const std::string& name : names)
        support::expect_error<mp::NotFound>([&] { SharedMemory::open(name); }, {name});
}

BOOST_AUTO_TEST_CASE(H_014_a_list_travels_as_its_name) {
    const std::vector<ShareableList::Item> ten(10, 7);
    const std::vector<ShareableList::Item> many(400, 7);
    auto small = ShareableList::create(support::own_name("list-a"), ten);
    auto large = ShareableList::create(support::own_name("list-b"), many);
    BOOST_TEST(encoded_size(small) == encoded_size(large));
    auto same = travel(small);
    BOOST_TEST(same.size() == 10u);
    same.set(9, 11);
    small.set(0, 12);
    BOOST_TEST((std::get<std::int64_t>(small[9]) == 11));
    BOOST_TEST((std::get<std::int64_t>(same[0]) == 12));
}

BOOST_AUTO_TEST_CASE(H_015_a_list_that_travels_too_long_finds_nothing) {
    mp::Queue<ShareableList> queue{1};
    {
        const auto list = ShareableList::create({1, 2});
        queue.put(list);
    }
    support::expect_error<mp::NotFound>([&] { static_cast<void>(queue.get()); }, {});
}

// Nobody is tracked: who attaches and ends takes nothing away from those who still use the memory.
BOOST_AUTO_TEST_CASE(H_017_who_attaches_and_ends_leaves_the_memory) {
    auto memory = SharedMemory::create("conf-shm-tracked", 16);
    memory.buf()[0] = byte(9);
    const auto result = support::run_program("attach to conf-shm-tracked");
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.err == "");
    BOOST_TEST((SharedMemory::open("conf-shm-tracked").buf()[0] == byte(9)));
}

// The trap that Python keeps is not there: there is no leak to report, whoever was last.
BOOST_AUTO_TEST_CASE(H_018_an_attacher_never_removes_what_others_use) {
    auto memory = SharedMemory::create("conf-shm-kept", 16);
    memory.buf()[0] = byte(9);
    for (int i = 0; i < 2; ++i)
        BOOST_TEST(support::run_program("attach to conf-shm-kept").code == 0);
    memory.close();
    support::expect_error<mp::NotFound>([] { SharedMemory::open("conf-shm-kept"); }, {});
}

// There is no cleaner process: nothing to interrupt, to share or to ask for an exit code.
BOOST_AUTO_TEST_CASE(H_020_H_021_H_023_H_025_there_is_no_cleaner_process) {
    auto semaphore = mp::Semaphore::create(support::own_name("semaphore"), 1);
    auto memory = SharedMemory::create(16);
    semaphore.acquire();
    semaphore.release();
    BOOST_TEST(children_of_this_process() == "");
}

BOOST_AUTO_TEST_CASE(H_024_a_name_that_is_too_long) {
    const std::string name(499, 'x');
    support::expect_error<mp::InvalidArgument>([&] { SharedMemory::create(name, 16); }, {});
}

BOOST_AUTO_TEST_SUITE_END()
