#include <multifork/channel/joinable_queue.hpp>

#include <multifork/channel/queue.hpp>
#include <multifork/liveness/tuning.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

/// A lost wake-up stays lost.
struct NoTick {
    NoTick() { mp::liveness::tuning().tick_ns = 0; }
    ~NoTick() { mp::liveness::tuning().tick_ns = 250'000'000; }
};

std::uint64_t blocks_used() {
    mp::arena::tree_space().sweep();
    return mp::arena::arena_usage().blocks_used;
}

std::string big(char c) {
    return std::string(5000, c);
}

} // namespace

BOOST_AUTO_TEST_SUITE(joinable_queue, *boost::unit_test::fixture<NoTick>())

BOOST_AUTO_TEST_CASE(items_come_in_order_and_are_done_once) {
    mp::JoinableQueue<int> queue{4};
    for (int i = 0; i < 4; ++i)
        queue.put(i);
    BOOST_TEST(queue.full());
    BOOST_TEST(!queue.try_put(9));
    for (int i = 0; i < 4; ++i) {
        auto task = queue.get();
        BOOST_TEST(*task == i);
        BOOST_TEST(task.tries() == 1u);
        BOOST_TEST(task.held());
        BOOST_TEST(queue.unfinished() == 4u - static_cast<unsigned>(i));
        task.task_done();
        BOOST_TEST(!task.held());
    }
    BOOST_TEST(queue.empty());
    BOOST_TEST(queue.unfinished() == 0u);
    BOOST_TEST(!queue.try_get().has_value());
    queue.join();
}

BOOST_AUTO_TEST_CASE(task_done_too_often_throws) {
    mp::JoinableQueue<int> queue{4};
    queue.put(1);
    queue.put(2);
    auto task = queue.get();
    task.task_done();
    support::expect_error<mp::NotOwner>([&] { task.task_done(); }, {"task_done()", "once"});
    support::expect_error<mp::NotOwner>([&] { task.give_back(); }, {"give_back()", "once"});
    auto other = std::move(task);
    support::expect_error<mp::NotOwner>([&] { other.task_done(); }, {"task_done()"});
    BOOST_TEST(queue.unfinished() == 1u);
}

BOOST_AUTO_TEST_CASE(what_is_given_back_comes_first_and_counts_tries) {
    mp::JoinableQueue<int> queue{4};
    for (int i = 0; i < 4; ++i)
        queue.put(i);
    auto zero = queue.get();
    auto one = queue.get();
    one.give_back();
    zero.give_back();
    BOOST_TEST(queue.size() == 4u);
    for (int i = 0; i < 4; ++i) {
        auto task = queue.get();
        BOOST_TEST(*task == i);
        BOOST_TEST(task.tries() == (i < 2 ? 2u : 1u));
        task.task_done();
    }
}

BOOST_AUTO_TEST_CASE(a_lease_that_is_dropped_gives_its_item_back) {
    mp::JoinableQueue<std::string> queue{2};
    queue.put(big('x'));
    try {
        auto task = queue.get();
        *task = "changed by the worker";
        throw std::runtime_error("the worker fails");
    } catch (const std::runtime_error&) {
    }
    auto again = queue.get();
    BOOST_TEST(*again == big('x'));
    BOOST_TEST(again.tries() == 2u);
    again.task_done();
}

BOOST_AUTO_TEST_CASE(assigning_to_a_lease_gives_the_old_item_back) {
    mp::JoinableQueue<int> queue{2};
    queue.put(1);
    queue.put(2);
    auto task = queue.get();
    task = queue.get();
    BOOST_TEST(*task == 2);
    BOOST_TEST(queue.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_killed_workers_item_is_delivered_again_whole) {
    mp::JoinableQueue<std::string> queue{3};
    const auto blocks = blocks_used();
    queue.put(big('a'));
    queue.put("short");
    for (unsigned tries = 1; tries <= 3; ++tries) {
        mp::Queue<int> got{1};
        support::RawChild worker([&] {
            auto task = queue.get();
            support::demand(*task == big('a') && task.tries() == tries);
            got.put(1);
            for (;;)
                std::this_thread::sleep_for(1h);
            return 0;
        });
        BOOST_TEST(got.get() == 1);
        BOOST_TEST(queue.unfinished() == 2u);
        worker.kill();
        worker.wait();
        BOOST_TEST(queue.size() == 2u);
    }
    auto task = queue.get();
    BOOST_TEST(*task == big('a'));
    BOOST_TEST(task.tries() == 4u);
    task.task_done();
    queue.get().task_done();
    queue.join();
    BOOST_TEST(blocks_used() == blocks);
}

BOOST_AUTO_TEST_CASE(a_sleeping_getter_gets_the_item_of_the_killed) {
    mp::JoinableQueue<int> queue{3};
    mp::Queue<int> got{1};
    queue.put(7);
    support::RawChild worker([&] {
        auto task = queue.get();
        got.put(1);
        for (;;)
            std::this_thread::sleep_for(1h);
        return 0;
    });
    static_cast<void>(got.get());
    support::RawChild other([&] {
        auto task = queue.get();
        const bool right = *task == 7 && task.tries() == 2;
        task.task_done();
        return right ? 0 : 1;
    });
    support::wait_until_asleep(other.pid());
    worker.kill();
    BOOST_TEST(other.wait() == 0);
    queue.join();
}

BOOST_AUTO_TEST_CASE(the_lease_of_a_thread_that_ended_is_lost) {
    mp::JoinableQueue<int> queue{3};
    queue.put(1);
    std::optional<mp::Lease<int>> kept;
    std::thread([&] { kept.emplace(queue.get()); }).join();
    auto again = queue.try_get_for(10s);
    BOOST_REQUIRE(again.has_value());
    BOOST_TEST(again->tries() == 2u);
    support::expect_error<mp::NotOwner>([&] { kept->task_done(); }, {"ended", "queued again"});
    again->task_done();
}

BOOST_AUTO_TEST_CASE(a_sleeper_hears_of_a_getter_that_ended_in_order_with_a_lease) {
    mp::JoinableQueue<int> queue{3};
    support::RawChild sleeper([&] {
        auto task = queue.get();
        task.task_done();
        return task.tries() == 2 ? 0 : 1;
    });
    support::wait_until_asleep(sleeper.pid()); // before anybody has a lease
    std::optional<mp::Lease<int>> kept;
    std::thread([&] {
        queue.put(1);
        // The sleeper is woken for it; whoever is quicker gets it.
        if (auto got = queue.try_get())
            kept.emplace(std::move(*got));
    }).join();
    const int code = sleeper.wait();
    BOOST_TEST(code == (kept ? 0 : 1));
}

BOOST_AUTO_TEST_CASE(join_waits_for_the_last_task_done) {
    mp::JoinableQueue<int> queue{10};
    BOOST_TEST(queue.try_join_for(0s));
    queue.put(1);
    BOOST_TEST(!queue.try_join_for(0s));
    const auto begin = Clock::now();
    BOOST_TEST(!queue.try_join_for(50ms));
    BOOST_TEST((Clock::now() - begin >= 50ms));
    auto task = queue.get();
    BOOST_TEST(!queue.try_join_for(-1s));
    support::RawChild joiner([&] {
        queue.join();
        return 0;
    });
    support::RawChild second([&] { return queue.try_join_for(24h) ? 0 : 1; });
    support::wait_until_asleep(joiner.pid());
    support::wait_until_asleep(second.pid());
    task.task_done();
    BOOST_TEST(joiner.wait() == 0);
    BOOST_TEST(second.wait() == 0);
    BOOST_TEST(queue.try_join_for(0s));
}

BOOST_AUTO_TEST_CASE(join_returns_although_more_is_put_at_once) {
    mp::JoinableQueue<int> queue{10};
    queue.put(1);
    support::RawChild joiner([&] {
        queue.join();
        return 0;
    });
    support::wait_until_asleep(joiner.pid());
    queue.get().task_done();
    queue.put(2);
    BOOST_TEST(joiner.wait() == 0);
}

BOOST_AUTO_TEST_CASE(a_joiner_outlives_workers_that_die) {
    mp::JoinableQueue<int> queue{10};
    mp::Queue<int> got{1};
    queue.put(1);
    support::RawChild joiner([&] {
        queue.join();
        return 0;
    });
    support::wait_until_asleep(joiner.pid());
    for (int i = 0; i < 2; ++i) {
        support::RawChild worker([&] {
            auto task = queue.get();
            got.put(1);
            for (;;)
                std::this_thread::sleep_for(1h);
            return 0;
        });
        static_cast<void>(got.get());
        worker.kill();
        worker.wait();
    }
    BOOST_TEST(support::runs(joiner.pid()));
    auto task = queue.get();
    BOOST_TEST(task.tries() == 3u);
    task.task_done();
    BOOST_TEST(joiner.wait() == 0);
}

BOOST_AUTO_TEST_CASE(a_closed_queue_ends_when_all_is_done) {
    mp::JoinableQueue<int> queue{10};
    for (int i = 0; i < 10; ++i)
        queue.put(i);
    queue.close();
    queue.close();
    BOOST_TEST(queue.closed());
    support::expect_error<mp::QueueClosed>([&] { queue.put(1); }, {"put()", "closed"});
    support::expect_error<mp::QueueClosed>([&] { static_cast<void>(queue.try_put(1)); },
                                           {"closed"});
    int sum = 0;
    for (auto& task : queue) {
        sum += *task;
        task.task_done();
    }
    BOOST_TEST(sum == 45);
    support::expect_error<mp::QueueClosed>([&] { static_cast<void>(queue.get()); },
                                           {"get()", "closed"});
    BOOST_TEST(!queue.try_get().has_value());
    BOOST_TEST(!queue.try_get_for(24h).has_value());
    queue.join();
}

BOOST_AUTO_TEST_CASE(a_getter_of_a_closed_queue_waits_for_what_may_come_back) {
    mp::JoinableQueue<int> queue{10};
    queue.put(1);
    auto task = queue.get();
    queue.close();
    const auto waiter = [&] {
        int got = 0;
        for (auto& t : queue) {
            got += *t;
            t.task_done();
        }
        return got;
    };
    support::RawChild first(waiter);
    support::wait_until_asleep(first.pid());
    task.give_back();
    BOOST_TEST(first.wait() == 1);

    mp::JoinableQueue<int> second{10};
    second.put(1);
    auto last = second.get();
    second.close();
    support::RawChild two([&] { return second.try_get_for(24h) ? 1 : 0; });
    support::RawChild three([&] { return second.try_get_for(24h) ? 1 : 0; });
    support::wait_until_asleep(two.pid());
    support::wait_until_asleep(three.pid());
    last.task_done();
    BOOST_TEST(two.wait() == 0);
    BOOST_TEST(three.wait() == 0);
}

BOOST_AUTO_TEST_CASE(a_threads_own_leases_do_not_keep_it_waiting_at_a_closed_queue) {
    mp::JoinableQueue<int> queue{10};
    queue.put(1);
    auto task = queue.get();
    queue.close();
    BOOST_TEST(!queue.try_get_for(24h).has_value());
    task.task_done();
}

BOOST_AUTO_TEST_CASE(closing_wakes_producers_and_getters) {
    mp::JoinableQueue<int> queue{1};
    support::RawChild getter([&] { return queue.try_get_for(24h) ? 1 : 0; });
    support::wait_until_asleep(getter.pid());
    queue.close();
    BOOST_TEST(getter.wait() == 0);
    mp::JoinableQueue<int> full{1};
    full.put(1);
    support::RawChild producer([&] {
        try {
            full.put(2);
            return 1;
        } catch (const mp::QueueClosed&) {
            return 0;
        }
    });
    support::wait_until_asleep(producer.pid());
    full.close();
    BOOST_TEST(producer.wait() == 0);
}

BOOST_AUTO_TEST_CASE(producers_are_woken_by_gets) {
    mp::JoinableQueue<int> queue{2};
    queue.put(1);
    queue.put(2);
    const auto begin = Clock::now();
    BOOST_TEST(!queue.try_put_for(3, 30ms));
    BOOST_TEST((Clock::now() - begin >= 30ms));
    support::RawChild first([&] {
        queue.put(3);
        return 0;
    });
    support::RawChild second([&] {
        queue.put(4);
        return 0;
    });
    support::wait_until_asleep(first.pid());
    support::wait_until_asleep(second.pid());
    auto one = queue.get();
    auto two = queue.get();
    BOOST_TEST(first.wait() == 0);
    BOOST_TEST(second.wait() == 0);
    one.task_done();
    two.task_done();
    BOOST_TEST(queue.size() == 2u);
}

BOOST_AUTO_TEST_CASE(leases_do_not_count_for_the_capacity_until_there_are_many) {
    mp::JoinableQueue<int> queue{1};
    std::vector<mp::Lease<int>> held;
    for (int i = 0; i < 256; ++i) {
        queue.put(i);
        held.push_back(queue.get());
    }
    queue.put(256);
    held.push_back(queue.get()); // a get never waits for room
    BOOST_TEST(!queue.try_put(257));
    support::RawChild producer([&] {
        queue.put(257);
        return 0;
    });
    support::wait_until_asleep(producer.pid());
    held[100].task_done();
    BOOST_TEST(producer.wait() == 0);
    auto last = queue.get();
    BOOST_TEST(*last == 257);
    last.task_done();
    for (auto& task : held)
        if (task.held())
            task.task_done();
    queue.join();
}

BOOST_AUTO_TEST_CASE(long_messages_leave_no_memory_behind) {
    const auto before = blocks_used();
    {
        mp::JoinableQueue<std::vector<std::string>> queue{5};
        for (int round = 0; round < 20; ++round) {
            queue.put({big('a'), "b", ""});
            queue.put({});
            auto task = queue.get();
            BOOST_TEST((*task == std::vector<std::string>{big('a'), "b", ""}));
            if (round % 2 == 0)
                task.give_back();
            else
                task.task_done();
            while (auto next = queue.try_get())
                next->task_done();
        }
        BOOST_TEST(blocks_used() == before + 1);
        queue.put({big('z')});
        auto leased = queue.get();
        queue.put({big('y')});
    }
    BOOST_TEST(blocks_used() == before, "what was queued or leased goes with the queue");
}

BOOST_AUTO_TEST_CASE(nothing_is_lost_or_done_twice_between_many) {
    mp::JoinableQueue<int> queue{8};
    mp::Queue<int> done{4096};
    const int items = support::scaled(500);
    const auto produce = [&](int from) {
        for (int i = 0; i < items; ++i)
            queue.put(from + i);
        return 0;
    };
    const auto work = [&] {
        unsigned turn = 0;
        for (auto& task : queue) {
            if (++turn % 7 == 0)
                continue; // given back
            done.put(*task);
            task.task_done();
        }
        return 0;
    };
    {
        support::RawChild p1([&] { return produce(0); });
        support::RawChild p2([&] { return produce(10'000); });
        support::RawChild w1(work);
        support::RawChild w2(work);
        support::RawChild w3(work);
        BOOST_TEST(p1.wait() == 0);
        BOOST_TEST(p2.wait() == 0);
        queue.join();
        queue.close();
        BOOST_TEST(w1.wait() == 0);
        BOOST_TEST(w2.wait() == 0);
        BOOST_TEST(w3.wait() == 0);
    }
    std::map<int, int> times;
    while (auto got = done.try_get())
        ++times[*got];
    BOOST_TEST(times.size() == 2u * static_cast<unsigned>(items));
    for (const auto& [item, count] : times)
        BOOST_TEST(count == 1, "item " << item << " was done " << count << " times");
}

BOOST_AUTO_TEST_CASE(named_joinable_queues) {
    using Tasks = mp::JoinableQueue<std::string>;
    auto queue = Tasks::create("unit-tasks", 4);
    queue.put(big('q'));
    support::run_in_child([] {
        auto tasks = Tasks::open("unit-tasks", 4);
        auto task = tasks.get();
        support::demand(*task == big('q'));
        task.task_done();
        tasks.put("back");
    });
    BOOST_TEST(queue.get().value() == "back"); // and given back at once
    BOOST_TEST(queue.size() == 1u);
    support::expect_error<mp::LayoutMismatch>([] { Tasks::open("unit-tasks", 5); }, {"unit-tasks"});
    using Other = mp::Queue<std::string>;
    support::expect_error<mp::LayoutMismatch>([] { Other::open("unit-tasks", 4); }, {"unit-tasks"});
    BOOST_TEST(Tasks::remove("unit-tasks"));
}

BOOST_AUTO_TEST_CASE(absurd_capacities_are_refused) {
    support::expect_error<mp::InvalidArgument>([] { mp::JoinableQueue<int> q{0}; }, {"at least 1"});
    constexpr auto huge = std::numeric_limits<std::size_t>::max();
    support::expect_error<mp::InvalidArgument>([] { mp::JoinableQueue<int> q{huge}; },
                                               {"negative"});
}

BOOST_AUTO_TEST_CASE(damaged_lists_are_reported) {
    mp::JoinableQueue<int> queue{4};
    queue.put(1);
    // There is no public way to the bytes; a layout of the same shape over them is one.
    const auto layout = mp::TaskQueue::Layout::make(4, sizeof(int), false);
    auto object = mp::arena::Object::make(layout.shape.bytes(), layout.kind(), [](std::byte*) {});
    const mp::TaskQueue tasks(object, layout);
    const int item = 5;
    const std::span<const std::byte> bytes = std::as_bytes(std::span<const int, 1>(&item, 1));
    BOOST_TEST((tasks.put(bytes, mp::platform::Deadline::poll()) == mp::core::LeaseResult::done));
    auto& header = *reinterpret_cast<mp::core::LeaseHeader*>(object.data());
    auto* const order = reinterpret_cast<std::uint32_t*>(&header + 1);
    order[0] = 4'000'000'000;
    mp::core::LeaseToken token;
    support::expect_error<mp::CorruptSharedMemory>(
        [&] { static_cast<void>(tasks.get(mp::platform::Deadline::poll(), token)); },
        {"overwritten"});
    header.used = ~0u;
    header.order_count = ~0u;
    header.free_count = ~0u;
    static_cast<void>(mp::core::lease_counts(tasks.core()));
    support::expect_error<mp::CorruptSharedMemory>(
        [&] { static_cast<void>(tasks.get(mp::platform::Deadline::poll(), token)); },
        {"overwritten"});
}

BOOST_AUTO_TEST_CASE(joinable_queues_print) {
    mp::JoinableQueue<int> queue{4};
    queue.put(1);
    queue.put(1);
    auto task = queue.get();
    BOOST_TEST(fmt::format("{}", queue) == "<JoinableQueue 1/4 open, 2 unfinished>");
    task.task_done();
    queue.close();
    BOOST_TEST(fmt::format("{}", queue) == "<JoinableQueue 1/4 closed, 1 unfinished>");
}

BOOST_AUTO_TEST_SUITE_END()
