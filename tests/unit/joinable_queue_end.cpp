#include <multifork/channel/joinable_queue.hpp>

#include <multifork/channel/queue.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/no_backstop.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <thread>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

BOOST_AUTO_TEST_SUITE(joinable_queue, *boost::unit_test::fixture<support::NoBackstop>())

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

BOOST_AUTO_TEST_SUITE_END()
