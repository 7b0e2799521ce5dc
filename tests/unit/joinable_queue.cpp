#include <multifork/channel/joinable_queue.hpp>

#include <multifork/channel/queue.hpp>

#include "support/blocks.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/no_backstop.hpp"
#include "support/own_name.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

std::string big(char c) {
    return std::string(5000, c);
}

} // namespace

BOOST_AUTO_TEST_SUITE(joinable_queue, *boost::unit_test::fixture<support::NoBackstop>())

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

BOOST_AUTO_TEST_CASE(long_messages_leave_no_memory_behind) {
    const auto before = support::blocks_used();
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
        BOOST_TEST(support::blocks_used() == before + 1);
        queue.put({big('z')});
        auto leased = queue.get();
        queue.put({big('y')});
    }
    BOOST_TEST(support::blocks_used() == before, "what was queued or leased goes with the queue");
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
    auto queue = Tasks::create(support::own_name("tasks"), 4);
    queue.put(big('q'));
    support::run_in_child([] {
        auto tasks = Tasks::open(support::own_name("tasks"), 4);
        auto task = tasks.get();
        support::demand(*task == big('q'));
        task.task_done();
        tasks.put("back");
    });
    BOOST_TEST(queue.get().value() == "back"); // and given back at once
    BOOST_TEST(queue.size() == 1u);
    support::expect_error<mp::LayoutMismatch>([] { Tasks::open(support::own_name("tasks"), 5); },
                                              {support::own_name("tasks")});
    using Other = mp::Queue<std::string>;
    support::expect_error<mp::LayoutMismatch>([] { Other::open(support::own_name("tasks"), 4); },
                                              {support::own_name("tasks")});
    BOOST_TEST(Tasks::remove(support::own_name("tasks")));
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
