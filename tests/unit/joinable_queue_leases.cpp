#include <multifork/channel/joinable_queue.hpp>

#include <multifork/channel/pipe.hpp>
#include <multifork/channel/queue.hpp>
#include <multifork/process/process.hpp>
#include <multifork/sync/event.hpp>
#include <multifork/sync/lock.hpp>

#include "support/blocks.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/no_backstop.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

std::string big(char c) {
    return std::string(5000, c);
}

} // namespace

BOOST_AUTO_TEST_SUITE(joinable_queue, *boost::unit_test::fixture<support::NoBackstop>())

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

BOOST_AUTO_TEST_CASE(an_item_that_nobody_can_ever_read_is_dropped) {
    const std::string name = "lock-of-" + std::to_string(::getpid());
    mp::JoinableQueue<mp::Lock> queue{4};
    queue.put(mp::Lock::create(name)); // which goes with its last handle, at the end of this line
    queue.put(mp::Lock());
    support::expect_error<mp::NotFound>([&] { static_cast<void>(queue.get()); }, {name});
    auto next = queue.get();
    BOOST_TEST(next.tries() == 1u);
    next.task_done();
    queue.join();
}

// A Connection goes with its sender, and arrives once.
BOOST_AUTO_TEST_CASE(a_connection_that_is_gone_does_not_block_the_queue) {
    using Ends = mp::Connection<int>;
    for (const bool received : {false, true}) {
        mp::JoinableQueue<Ends> queue{4};
        auto [reader, writer] = mp::Pipe<int>(false);
        const mp::Event put;
        support::RawChild child([&, &w = writer] {
            queue.put(w);
            std::optional<mp::Lease<Ends>> kept;
            if (received)
                kept.emplace(queue.get());
            mp::Event(put).set();
            support::sleep_for_ever();
            return 0;
        });
        mp::Event(put).wait();
        child.kill();
        child.wait();
        queue.put(writer);
        support::expect_error<mp::NotFound>([&] { static_cast<void>(queue.get()); },
                                            {"connection", "ended"});
        auto next = queue.get();
        BOOST_TEST(next.tries() == 1u);
        next->send(7);
        BOOST_TEST(reader.recv() == 7);
        next.task_done();
        queue.join();
    }
}

BOOST_AUTO_TEST_CASE(a_forked_child_cannot_end_its_parents_lease) {
    mp::JoinableQueue<int> queue{4};
    queue.put(1);
    auto task = queue.get();
    mp::Process child{[&] {
        for (const bool done : {true, false})
            try {
                done ? task.task_done() : task.give_back();
                std::exit(9);
            } catch (const mp::NotOwner&) {
            }
    }};
    child.start();
    support::expect_exit(child);
    task.task_done();
    queue.join();
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
    const auto blocks = support::blocks_used();
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
    BOOST_TEST(support::blocks_used() == blocks);
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

BOOST_AUTO_TEST_SUITE_END()
