#include <multifork/multifork.hpp>

#include "start_methods.hpp"
#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/program.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

/// Runs while the test program's static objects are being made.
const support::Program used_before_main{"queue used before main", [] {
                                            mp::Queue<int> queue{1};
                                            queue.put(42);
                                            const auto got = queue.try_get_for(3s);
                                            queue.close();
                                            return got == 42 ? 0 : 1;
                                        }};

/// What cannot be serialised: its serialize() throws if it is told to.
struct Stubborn {
    bool refuses = false;
    std::string text;

    template <class Archive>
    void serialize(Archive& archive) {
        if (refuses)
            throw std::runtime_error("will not be sent");
        archive(text);
    }
};

} // namespace

// A form that does not block and takes a timeout as well does not exist here: try_put() and
// try_get() are the one, try_put_for() and try_get_for() the other; a full or empty queue is a
// result, not an exception.
BOOST_AUTO_TEST_SUITE(queue)

MULTIFORK_EACH_START_METHOD(Q_001_put_until_full_and_a_child_empties_it) {
    mp::Queue<int> queue{6};
    BOOST_TEST(queue.empty());
    BOOST_TEST(!queue.full());
    queue.put(1);
    queue.put(2);
    BOOST_TEST(queue.try_put(3));
    BOOST_TEST(queue.try_put_for(4, 0s));
    BOOST_TEST(queue.try_put_for(5, 100ms));
    BOOST_TEST(queue.try_put_for(6, -1s));
    BOOST_TEST(!queue.empty());
    BOOST_TEST(queue.full());

    BOOST_TEST(!queue.try_put(7));
    BOOST_TEST(!queue.try_put_for(7, 0s));
    BOOST_TEST(!queue.try_put_for(7, -1s));
    const auto begin = Clock::now();
    BOOST_TEST(!queue.try_put_for(7, 100ms));
    BOOST_TEST((Clock::now() - begin >= 100ms));

    support::run_in_child(
        context,
        [](mp::Queue<int> full) {
            for (int i = 1; i <= 6; ++i)
                support::demand(full.get() == i);
        },
        queue);
    BOOST_TEST(queue.empty());
    BOOST_TEST(!queue.full());
}

MULTIFORK_EACH_START_METHOD(Q_002_get_in_all_forms) {
    mp::Queue<int> queue{4};
    support::run_in_child(
        context,
        [](mp::Queue<int> out) {
            for (int i = 2; i <= 5; ++i)
                out.put(i);
        },
        queue);
    BOOST_TEST(queue.get() == 2);
    BOOST_TEST(queue.try_get_for(24h).value() == 3);
    BOOST_TEST(queue.try_get_for(1s).value() == 4);
    BOOST_TEST(queue.try_get().value() == 5);
    BOOST_TEST(queue.empty());

    BOOST_TEST(!queue.try_get().has_value());
    BOOST_TEST(!queue.try_get_for(0s).has_value());
    BOOST_TEST(!queue.try_get_for(-1s).has_value());
    const auto begin = Clock::now();
    BOOST_TEST(!queue.try_get_for(100ms).has_value());
    BOOST_TEST((Clock::now() - begin >= 100ms));
}

BOOST_AUTO_TEST_CASE(Q_004_size_counts_at_once) {
    mp::Queue<int> queue{8};
    BOOST_TEST(queue.size() == 0u);
    queue.put(1);
    BOOST_TEST(queue.size() == 1u);
    queue.put(5);
    BOOST_TEST(queue.size() == 2u);
    static_cast<void>(queue.get());
    BOOST_TEST(queue.size() == 1u);
    static_cast<void>(queue.get());
    BOOST_TEST(queue.size() == 0u);
}

BOOST_AUTO_TEST_CASE(Q_006_usable_during_static_initialisation) {
    const auto result = support::run_program("queue used before main");
    BOOST_TEST(result.code == 0);
    BOOST_TEST(result.err == "");
}

BOOST_AUTO_TEST_CASE(Q_007_get_waits_its_time) {
    mp::Queue<int> queue{1};
    const auto begin = Clock::now();
    BOOST_TEST(!queue.try_get_for(200ms).has_value());
    BOOST_TEST((Clock::now() - begin >= 200ms));
}

// Here put() serialises at once, without a feeder thread: the error goes to its caller, not to a
// hook.
BOOST_AUTO_TEST_CASE(Q_009_what_cannot_be_serialised_is_refused_and_the_next_item_is_delivered) {
    mp::Queue<Stubborn> queue{2};
    support::expect_error<std::runtime_error>(
        [&] {
            queue.put({true, "lost"});
        },
        {"will not be sent"});
    BOOST_TEST(queue.empty());
    queue.put({false, "true"});
    const auto got = queue.try_get_for(10s);
    BOOST_REQUIRE(got.has_value());
    BOOST_TEST(got->text == "true");
}

// Our rule: close() is the producers' end. What was put before it is still delivered; only get() on
// what is closed and drained throws, and the other forms end quietly.
BOOST_AUTO_TEST_CASE(Q_011_put_and_get_after_close) {
    mp::Queue<int> queue{2};
    queue.put(1);
    queue.close();
    queue.close();
    support::expect_error<mp::QueueClosed>([&] { queue.put(2); }, {"put()", "closed"});
    support::expect_error<mp::QueueClosed>([&] { static_cast<void>(queue.try_put(2)); },
                                           {"put()", "closed"});
    BOOST_TEST(queue.get() == 1);
    support::expect_error<mp::QueueClosed>([&] { static_cast<void>(queue.get()); },
                                           {"get()", "closed"});
    BOOST_TEST(!queue.try_get().has_value());
    BOOST_TEST(!queue.try_get_for(24h).has_value());

    mp::JoinableQueue<int> tasks{2};
    tasks.put(1);
    tasks.close();
    support::expect_error<mp::QueueClosed>([&] { tasks.put(2); }, {"put()", "closed"});
    tasks.get().task_done();
    support::expect_error<mp::QueueClosed>([&] { static_cast<void>(tasks.get()); },
                                           {"get()", "closed"});
}

// A stop item is one that the worker knows; close() would do as well.
MULTIFORK_EACH_START_METHOD(Q_005_join_waits_for_all_task_done) {
    mp::JoinableQueue<std::optional<int>> queue{64};
    std::vector<mp::Process> workers;
    for (int i = 0; i < 4; ++i)
        workers.push_back(context.process(
            [](mp::JoinableQueue<std::optional<int>> tasks) {
                for (auto& task : tasks) {
                    std::this_thread::sleep_for(*task ? 100ms : 0ms);
                    task.task_done();
                    if (!*task)
                        return;
                }
            },
            queue));
    for (mp::Process& worker : workers)
        worker.start();
    for (int i = 0; i < 10; ++i)
        queue.put(i);
    queue.join();
    BOOST_TEST(queue.unfinished() == 0u);
    for (int i = 0; i < 4; ++i)
        queue.put(std::nullopt);
    for (mp::Process& worker : workers)
        support::expect_exit(worker);
    queue.join();
}

BOOST_AUTO_TEST_SUITE_END()
