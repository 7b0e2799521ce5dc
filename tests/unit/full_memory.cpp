#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/leftovers.hpp"
#include "support/program.hpp"
#include "support/skip.hpp"

#include <boost/test/unit_test.hpp>
#include <fmt/core.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

using Texts = mp::Queue<std::string>;
constexpr int not_allowed = 77;

/// What the OutOfSharedMemory that `act` throws says.
template <class Act>
std::string refusal(Act act) {
    try {
        act();
    } catch (const mp::OutOfSharedMemory& error) {
        return error.what();
    }
    throw std::logic_error("no OutOfSharedMemory was thrown");
}

void demand_words(const std::string& text, std::initializer_list<std::string_view> words) {
    for (const auto word : words)
        if (text.find(word) == text.npos)
            throw std::logic_error(fmt::format("'{}' does not say '{}'", text, word));
}

std::string text_number(std::size_t i, std::size_t bytes) {
    return fmt::format("{:>{}}", i, bytes);
}

/// Puts until there is no memory left. \return how many were put
std::size_t fill(Texts& queue, std::size_t bytes) {
    for (std::size_t i = 0;; ++i)
        try {
            support::demand(queue.try_put(text_number(i, bytes)));
        } catch (const mp::OutOfSharedMemory& error) {
            demand_words(error.what(), {"bytes", "asked for"});
            return i;
        }
}

void drain(Texts& queue, std::size_t expected, std::size_t bytes) {
    support::demand(queue.size() == expected);
    for (std::size_t i = 0; i < expected; ++i)
        support::demand(queue.try_get() == text_number(i, bytes));
    support::demand(!queue.try_get().has_value());
}

// Programs that run in an arena of 16 MiB; each is a case below.

void values_until_none_is_left() {
    std::array<std::size_t, 3> made{};
    for (std::size_t& count : made) {
        std::list<mp::Value<std::array<char, 100'000>>> values;
        const std::string said = refusal([&] {
            for (;;)
                values.emplace_back();
        });
        demand_words(said, {"bytes", "in use", "MULTIFORK_ARENA_BYTES"});
        count = values.size();
    }
    support::demand(made[0] > 50 && made[1] == made[0] && made[2] == made[0]);
}

void objects_larger_than_the_arena() {
    const auto used = mp::arena::arena_usage().blocks_used;
    demand_words(refusal([] { mp::Queue<int> queue{100'000'000}; }), {"bytes", "asked for"});
    demand_words(refusal([] { Texts queue{1'000'000}; }), {"bytes", "asked for"});
    support::demand(mp::arena::arena_usage().blocks_used == used);
    mp::Queue<int> fits{1000};
    fits.put(1);
    support::demand(fits.get() == 1);
}

void messages_until_there_is_no_room() {
    constexpr std::size_t bytes = 1'000'000;
    Texts queue{64};
    const std::size_t first = fill(queue, bytes);
    support::demand(first >= 5);
    drain(queue, first, bytes);
    for (int round = 0; round < 20; ++round) { // nothing is lost from one time to the next
        const std::size_t again = fill(queue, bytes);
        support::demand(again == first);
        queue.put("short"); // needs no memory besides the slot
        for (std::size_t i = 0; i < again; ++i)
            support::demand(queue.get() == text_number(i, bytes));
        support::demand(queue.get() == "short");
    }
}

void a_message_larger_than_the_arena() {
    Texts queue{2};
    demand_words(refusal([&] { queue.put(std::string(20'000'000, 'x')); }), {"bytes", "asked for"});
    support::demand(queue.empty());
    queue.put("fits");
    support::demand(queue.get() == "fits");
}

void one_taken_makes_room_for_one() {
    Texts queue{64};
    const std::size_t count = fill(queue, 1'000'000);
    for (std::size_t i = 0; i < count; ++i) {
        support::demand(queue.get() == text_number(i, 1'000'000));
        queue.put(text_number(i, 1'000'000));
    }
    drain(queue, count, 1'000'000);
}

void what_a_killed_process_used_comes_back() {
    const auto all_of_it = [] {
        std::list<mp::Value<std::array<char, 100'000>>> values;
        static_cast<void>(refusal([&] {
            for (;;)
                values.emplace_back();
        }));
        return values.size();
    };
    const std::size_t before = all_of_it();
    mp::Process child{[] {
        std::list<mp::Value<std::array<char, 100'000>>> values;
        try {
            for (;;)
                values.emplace_back();
        } catch (const mp::OutOfSharedMemory&) {
            std::raise(SIGKILL);
        }
    }};
    child.start();
    child.join();
    support::demand(child.exitcode() == -SIGKILL);
    support::demand(all_of_it() + 1 >= before); // the child's board is still there
}

template <void (*body)()>
int run_reporting() {
    try {
        body();
        return 0;
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}

const std::array programs{
    support::Program{"values", run_reporting<values_until_none_is_left>},
    support::Program{"large objects", run_reporting<objects_larger_than_the_arena>},
    support::Program{"messages", run_reporting<messages_until_there_is_no_room>},
    support::Program{"large message", run_reporting<a_message_larger_than_the_arena>},
    support::Program{"one for one", run_reporting<one_taken_makes_room_for_one>},
    support::Program{"killed process", run_reporting<what_a_killed_process_used_comes_back>}};

/// Says by its exit code what becomes of MULTIFORK_ARENA_BYTES.
const support::Program uses_the_arena{"uses the arena", [] {
                                          try {
                                              mp::Value<int> value{1};
                                              return value.load() == 1 ? 0 : 1;
                                          } catch (const mp::InvalidArgument& error) {
                                              fmt::print("{}", error.what());
                                              return 3;
                                          }
                                      }};

void expect_success(const std::string& program) {
    const auto result = support::run_program(program, {{"MULTIFORK_ARENA_BYTES", "16777216"}});
    BOOST_TEST(result.code == 0, result.err);
}

/// Runs `body` in a child with a tmpfs of its own as the place for named objects.
bool with_small_tmpfs(const char* options, void (*body)(const std::string& directory)) {
    const std::string directory = fmt::format("/tmp/multifork-test-{}", ::getpid());
    std::filesystem::create_directory(directory);
    support::RawChild child([&] {
        // CLONE_NEWUSER as well would make it possible for everybody, but not on every system.
        if (::unshare(CLONE_NEWNS) != 0 ||
            ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount("multifork-test", directory.c_str(), "tmpfs", 0, options) != 0)
            return not_allowed;
        ::setenv("MULTIFORK_SHM_DIR", directory.c_str(), 1);
        body(directory);
        return std::filesystem::is_empty(directory) ? 0 : 1;
    });
    const int code = child.wait();
    std::filesystem::remove(directory);
    if (code == not_allowed) {
        support::skip("a tmpfs cannot be mounted here");
        return false;
    }
    BOOST_TEST(code == 0);
    return true;
}

} // namespace

BOOST_AUTO_TEST_SUITE(full_memory)

BOOST_AUTO_TEST_CASE(values_of_an_exhausted_arena_can_be_made_again) {
    expect_success("values");
}
BOOST_AUTO_TEST_CASE(objects_that_the_arena_is_too_small_for_are_refused) {
    expect_success("large objects");
}
BOOST_AUTO_TEST_CASE(put_without_memory_puts_nothing_and_the_queue_stays_usable) {
    expect_success("messages");
}
BOOST_AUTO_TEST_CASE(a_message_that_the_arena_is_too_small_for_is_refused) {
    expect_success("large message");
}
BOOST_AUTO_TEST_CASE(a_message_taken_makes_room_for_the_next) {
    expect_success("one for one");
}
BOOST_AUTO_TEST_CASE(what_a_killed_process_used_can_be_used_again) {
    expect_success("killed process");
}

BOOST_AUTO_TEST_CASE(a_size_of_the_arena_that_is_no_size) {
    for (const char* text :
         {"abc", "12x", "16777216 ", " 16777216", "-1", "0", "1", "1048576", "1e9", "0x1000000",
          "18446744073709551615", "18446744073709551616", "99999999999999999999999"}) {
        const auto result =
            support::run_program("uses the arena", {{"MULTIFORK_ARENA_BYTES", text}});
        BOOST_TEST(result.code == 3, text);
        for (const char* word : {"MULTIFORK_ARENA_BYTES", text, "number of bytes"})
            BOOST_TEST(result.out.find(word) != std::string::npos,
                       "'" << result.out << "' does not say '" << word << "'");
    }
}

BOOST_AUTO_TEST_CASE(sizes_of_the_arena_that_will_do) {
    for (const char* text : {"", "8388608", "16777217", "1099511627", "274877906944"})
        BOOST_TEST(support::run_program("uses the arena", {{"MULTIFORK_ARENA_BYTES", text}}).code ==
                       0,
                   text);
}

BOOST_AUTO_TEST_CASE(the_message_room_of_a_named_queue_is_exhausted) {
    const std::string name = support::unique_name("room");
    auto queue = Texts::create(name, 8, 200'000);
    const std::size_t count = fill(queue, 50'000);
    BOOST_TEST(count >= 3u);
    BOOST_TEST(count < 8u);
    for (std::size_t i = 0; i < 20; ++i) {
        BOOST_TEST(queue.get() == text_number(i % count, 50'000));
        queue.put(text_number(i % count, 50'000));
    }
    BOOST_TEST(queue.size() == count);
}

BOOST_AUTO_TEST_CASE(no_room_for_a_named_object_in_dev_shm) {
    with_small_tmpfs("size=1m", [](const std::string& directory) {
        const std::string name = support::unique_name("large");
        const std::string said = refusal([&] { Texts::create(name, 4); });
        demand_words(said, {directory, name, "bytes were asked for", "are free", "remove"});
        support::demand(std::filesystem::is_empty(directory));

        std::vector<mp::Value<int>> values;
        const std::string at_last = refusal([&] {
            for (;;)
                values.push_back(mp::Value<int>::create(support::unique_name("small"), 1));
        });
        demand_words(at_last, {"bytes were asked for", "are free"});
        support::demand(values.size() >= 2);
        values.pop_back();
        values.push_back(mp::Value<int>::create(support::unique_name("small"), 2));
        support::demand(values.back().load() == 2 && values.front().load() == 1);
    });
}

BOOST_AUTO_TEST_CASE(no_room_for_one_more_file_in_dev_shm) {
    with_small_tmpfs("size=10m,nr_inodes=4", [](const std::string& directory) {
        std::vector<mp::Value<int>> values;
        const std::string said = refusal([&] {
            for (;;)
                values.push_back(mp::Value<int>::create(support::unique_name("many")));
        });
        demand_words(said, {directory, "no room", "remove"});
        support::demand(!values.empty());
    });
}

BOOST_AUTO_TEST_SUITE_END()
