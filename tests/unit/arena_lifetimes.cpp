#include <multifork/arena/space.hpp>
#include <multifork/channel/queue.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/sync/semaphore.hpp>

#include "support/children.hpp"

#include <boost/test/unit_test.hpp>

#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;

// Lifetimes within one process; tests/process/object_lifetimes.cpp has those over a fork.

namespace {

mp::arena::SpaceUsage usage() {
    return mp::arena::arena_usage();
}

struct Mappings {
    int all = 0;
    int not_dumped = 0; ///< left out of a core dump
};

/// Those of the arena, in this process.
Mappings mappings_of_the_arena() {
    std::ifstream maps("/proc/self/smaps");
    Mappings found;
    bool is_of_the_arena = false;
    for (std::string line; std::getline(maps, line);) {
        if (line.find("memfd:multifork") != std::string::npos)
            is_of_the_arena = true;
        if (!line.starts_with("VmFlags:")) // the last line of each
            continue;
        if (std::exchange(is_of_the_arena, false)) {
            found.all += 1;
            found.not_dumped += line.find(" dd") != std::string::npos ? 1 : 0;
        }
    }
    return found;
}

} // namespace

BOOST_AUTO_TEST_SUITE(arena_lifetimes)

BOOST_AUTO_TEST_CASE(an_object_goes_with_its_last_handle) {
    const auto before = usage();
    {
        const mp::Value<int> value;
        std::optional<mp::Value<int>> copy = value;
        mp::Lock lock_of_it = value.get_lock();
        BOOST_TEST(usage().blocks_used == before.blocks_used + 1);
        copy.reset();
        BOOST_TEST(usage().blocks_used == before.blocks_used + 1);
    }
    BOOST_TEST(usage().blocks_used == before.blocks_used);
    BOOST_TEST(usage().bytes_used == before.bytes_used);
}

BOOST_AUTO_TEST_CASE(a_lock_taken_from_a_value_keeps_the_value) {
    const auto before = usage();
    std::optional<mp::Lock> lock;
    {
        const mp::Value<int> value;
        lock = value.get_lock();
    }
    BOOST_TEST(usage().blocks_used == before.blocks_used + 1);
    lock->lock();
    lock->unlock();
    lock.reset();
    BOOST_TEST(usage().blocks_used == before.blocks_used);
}

BOOST_AUTO_TEST_CASE(assignment_drops_what_was_there) {
    const auto before = usage();
    mp::Lock lock;
    for (int i = 0; i < 100; ++i)
        lock = mp::Lock{};
    BOOST_TEST(usage().blocks_used == before.blocks_used + 1);
}

BOOST_AUTO_TEST_CASE(a_new_object_in_old_memory_knows_nothing_of_the_old_one) {
    for (int i = 0; i < 10; ++i) {
        mp::Queue<int> queue{4};
        BOOST_TEST(queue.empty());
        BOOST_TEST(!queue.closed());
        queue.put(1);
        queue.close();
        mp::Lock lock;
        BOOST_TEST(!lock.owner().has_value());
        BOOST_TEST(lock.recoveries() == 0U);
        std::thread([&] { lock.lock(); }).join();
        BOOST_TEST(lock.recover());
        mp::Semaphore permits{5};
        BOOST_TEST(permits.value() == 5);
        permits.acquire();
        mp::Value<std::string::value_type> value;
        BOOST_TEST(value.load() == 0);
        value.store('x');
    }
}

BOOST_AUTO_TEST_CASE(making_and_dropping_does_not_grow) {
    const auto cycle = [] {
        const mp::Lock lock;
        const mp::Semaphore permits{3};
        const mp::Value<double> value{1.5};
        mp::Queue<std::string> queue{2};
        queue.put(std::string(300, 'x'));
    };
    cycle();
    const auto before = usage();
    const int rounds = support::scaled(20'000);
    for (int i = 0; i < rounds; ++i)
        cycle();
    BOOST_TEST(usage().bytes_carved == before.bytes_carved);
    BOOST_TEST(usage().blocks_used == before.blocks_used);
}

BOOST_AUTO_TEST_CASE(threads_that_make_and_drop_at_once) {
    const auto before = usage();
    const int rounds = support::scaled(5'000);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([=] {
            for (int i = 0; i < rounds; ++i) {
                mp::Value<int> value{i};
                mp::Queue<int> queue{1};
                queue.put(i);
                if (queue.get() != value.load())
                    std::abort();
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    BOOST_TEST(usage().blocks_used == before.blocks_used);
}

BOOST_AUTO_TEST_CASE(a_handle_dropped_by_another_thread_than_its_maker) {
    const auto before = usage();
    auto queue = std::make_unique<mp::Queue<std::string>>(std::size_t{2});
    queue->put(std::string(1000, 'x'));
    std::thread([&] { queue.reset(); }).join();
    BOOST_TEST(usage().blocks_used == before.blocks_used);
}

// Its 64 GiB would be filled and written, most of it zeros.
BOOST_AUTO_TEST_CASE(a_core_dump_leaves_the_arena_out) {
    const mp::Value<int> value{1};
    const auto all_are_left_out = [] {
        const Mappings found = mappings_of_the_arena();
        return found.all > 0 && found.not_dumped == found.all;
    };
    BOOST_TEST(all_are_left_out());
    support::run_in_child([&] { support::demand(all_are_left_out()); });
}

BOOST_AUTO_TEST_CASE(an_initialiser_that_throws_leaves_nothing) {
    const auto before = usage();
    BOOST_CHECK_THROW(mp::arena::Object::make(100, mp::arena::Kind::value,
                                              [](std::byte*) { throw std::bad_alloc(); }),
                      std::bad_alloc);
    BOOST_TEST(usage().blocks_used == before.blocks_used);
}

BOOST_AUTO_TEST_SUITE_END()
