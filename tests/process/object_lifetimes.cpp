#include <multifork/arena/space.hpp>
#include <multifork/channel/queue.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/process/process.hpp>
#include <multifork/sync/semaphore.hpp>

#include "support/children.hpp"

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <pthread.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;

// An object lives as long as a process that can reach it, and no longer.

namespace {

mp::arena::SpaceUsage usage() {
    return mp::arena::arena_usage();
}

std::optional<mp::Queue<int>> made_during_a_fork;
bool makes_during_forks = false;

} // namespace

BOOST_AUTO_TEST_SUITE(object_lifetimes)

BOOST_AUTO_TEST_CASE(a_child_goes_on_with_what_its_parent_has_dropped) {
    mp::Queue<int> gate{1};
    const auto before = usage();
    {
        auto queue = std::make_unique<mp::Queue<std::string>>(std::size_t{4});
        auto value = std::make_unique<mp::Value<int>>(17);
        auto lock = std::make_unique<mp::Lock>();
        queue->put(std::string(5'000, 'q'));
        mp::Process child{[&] {
            static_cast<void>(gate.get());
            support::demand(value->load() == 17);
            support::demand(queue->get() == std::string(5'000, 'q'));
            queue->put(std::string(10'000, 'r'));
            support::demand(queue->get().size() == 10'000);
            support::demand(lock->try_lock());
            lock->unlock();
        }};
        child.start();
        queue.reset();
        value.reset();
        lock.reset();
        // New objects must not lie where the child still looks.
        std::vector<mp::Value<int>> many;
        for (int i = 0; i < 100; ++i)
            many.emplace_back(i);
        mp::Queue<std::string> other{4};
        other.put(std::string(5'000, 'x'));
        gate.put(1);
        support::expect_exit(child);
    }
    mp::arena::tree_space().sweep();
    BOOST_TEST(usage().blocks_used == before.blocks_used);
}

// By another thread it could be; a handler is there every time.
BOOST_AUTO_TEST_CASE(an_object_that_is_made_during_a_fork_is_the_childs_too) {
    const mp::Queue<int> gate{1};
    ::pthread_atfork(
        [] {
            if (!makes_during_forks)
                return;
            made_during_a_fork.emplace(4);
            made_during_a_fork->put(7);
        },
        nullptr, nullptr);
    const auto before = usage();
    {
        mp::Process child{[&] {
            static_cast<void>(gate.get());
            support::demand(made_during_a_fork->get() == 7);
            made_during_a_fork->put(8);
            support::demand(made_during_a_fork->get() == 8);
        }};
        makes_during_forks = true;
        child.start();
        makes_during_forks = false;
        made_during_a_fork.reset();
        std::vector<mp::Queue<int>> others; // must not lie where the child looks
        for (int i = 0; i < 50; ++i)
            others.emplace_back(4).put(-1);
        gate.put(1);
        support::expect_exit(child);
    }
    mp::arena::tree_space().sweep();
    BOOST_TEST(usage().blocks_used == before.blocks_used);
}

BOOST_AUTO_TEST_CASE(a_grandchild_keeps_what_parent_and_child_have_left) {
    mp::Queue<int> gate{1};
    mp::Queue<int> answer{1};
    auto value = std::make_unique<mp::Value<int>>(23);
    mp::Process child{[&] {
        auto* grandchild = new mp::Process{[&] {
            static_cast<void>(gate.get());
            answer.put(value->load());
        }};
        grandchild->start();
        _exit(0); // without joining
    }};
    child.start();
    support::expect_exit(child);
    value.reset();
    std::vector<mp::Value<int>> many;
    for (int i = 0; i < 100; ++i)
        many.emplace_back(i);
    gate.put(1);
    BOOST_TEST(answer.get() == 23);
}

BOOST_AUTO_TEST_CASE(what_a_child_makes_goes_with_the_child) {
    support::run_in_child([] {}); // what the first child costs once
    mp::arena::tree_space().sweep();
    const auto before = usage();
    support::run_in_child([] {
        auto* leaked = new mp::Queue<std::string>{8};
        for (int i = 0; i < 8; ++i)
            leaked->put(std::string(2'000, 'x'));
    });
    {
        mp::Process killed{[] {
            auto* leaked = new mp::Queue<std::string>{8};
            leaked->put(std::string(20'000, 'x'));
            raise(SIGKILL);
        }};
        killed.start();
        support::expect_exit(killed, -SIGKILL);
    }
    mp::arena::tree_space().sweep();
    BOOST_TEST(usage().blocks_used == before.blocks_used);
    BOOST_TEST(usage().bytes_used == before.bytes_used);
}

BOOST_AUTO_TEST_CASE(a_childs_copies_free_nothing) {
    auto queue = std::make_unique<mp::Queue<int>>(std::size_t{4});
    queue->put(1);
    support::run_in_child([&] {
        mp::Queue<int> copy = *queue;
        queue.reset();
    });
    const mp::Value<int> other{99}; // would be where the queue was
    BOOST_TEST(queue->get() == 1);
    queue->put(2);
    BOOST_TEST(queue->get() == 2);
}

BOOST_AUTO_TEST_CASE(a_child_made_by_raw_fork_is_counted_too) {
    mp::Queue<int> gate{1};
    auto value = std::make_unique<mp::Value<int>>(31);
    support::RawChild child([&] {
        static_cast<void>(gate.get());
        return value->load();
    });
    value.reset();
    std::vector<mp::Value<int>> many;
    for (int i = 0; i < 100; ++i)
        many.emplace_back(i);
    gate.put(1);
    BOOST_TEST(child.wait() == 31);
}

BOOST_AUTO_TEST_CASE(a_million_objects_while_children_run, *boost::unit_test::timeout(60)) {
    std::vector<mp::Process> children;
    for (int i = 0; i < 3; ++i) {
        children.emplace_back(mp::ProcessOptions{.daemon = true}, support::sleep_for_ever);
        children.back().start();
    }
    const auto cycle = [](int i) {
        mp::Value<int> value{i};
        if (value.load() != i)
            std::abort();
    };
    cycle(0);
    const auto before = usage();
    const int rounds = support::scaled(1'000'000);
    for (int i = 0; i < rounds; ++i)
        cycle(i);
    BOOST_TEST(usage().bytes_carved == before.bytes_carved);
    BOOST_TEST(usage().blocks_used <= before.blocks_used);
    BOOST_TEST(usage().bytes_used <= before.bytes_used);
}

BOOST_AUTO_TEST_CASE(objects_and_children_made_in_turn_do_not_grow) {
    const auto round = [] {
        mp::Queue<std::string> queue{4};
        mp::Process child{[&] { queue.put(std::string(1'000, 'x')); }};
        child.start();
        support::demand(queue.get().size() == 1'000);
        child.join();
    };
    for (int i = 0; i < 5; ++i)
        round();
    const auto before = usage();
    const int rounds = support::scaled(100);
    for (int i = 0; i < rounds; ++i)
        round();
    mp::arena::tree_space().sweep();
    BOOST_TEST(usage().bytes_carved <= before.bytes_carved + (64U << 10));
    BOOST_TEST(usage().blocks_used <= before.blocks_used);
}

BOOST_AUTO_TEST_SUITE_END()
