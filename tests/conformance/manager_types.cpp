#include <multifork/multifork.hpp>

#include "conformance/start_methods.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <map>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

// What CPython's tests do with a manager's objects in a child. Here all objects are shared, and
// there is no manager.

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

using support::demand;

void with_event(mp::Event event) {
    demand(event.is_set());
    event.wait();
    event.clear();
    demand(!event.is_set());
    demand(!event.wait_for(1ms));
}
void with_lock(mp::Lock lock) {
    const std::scoped_lock hold(lock);
    demand(lock.owner().value().pid == mp::this_process::pid());
}
void with_rlock(mp::RLock lock) {
    const std::scoped_lock hold(lock);
    const std::scoped_lock again(lock);
    demand(lock.depth() == 2);
}
template <class Permits>
void with_permits(Permits permits) {
    permits.acquire();
    demand(!permits.try_acquire());
}
void with_condition(mp::Condition condition, mp::Lock lock) {
    const std::scoped_lock hold(lock);
    condition.notify_all();
}
void with_barrier(mp::Barrier barrier) {
    demand(barrier.parties() == 5);
    support::wait_until([&] { return barrier.waiting() == 1; });
    barrier.reset();
}
void with_tasks(mp::JoinableQueue<int> queue) {
    demand(queue.size() == 2);
    demand(queue.full());
    demand(!queue.empty());
    {
        auto task = queue.get();
        demand(*task == 5);
        task.task_done();
    }
    demand(!queue.empty());
    auto task = queue.get();
    demand(*task == 6);
    task.task_done();
    demand(queue.empty());
}
void with_list(mp::List<int> list) {
    demand(list.at(0) == 5);
    demand(list.count(5) == 1);
    demand(list.index(5) == 0u);
    list.sort();
    list.reverse();
    for (const int element : list)
        demand(element == 5);
    demand(list.size() == 1);
    demand(list.pop(0) == 5);
}
void with_dict(mp::Dict<std::string, int> dict) {
    using Items = std::vector<std::pair<std::string, int>>;
    demand(dict.size() == 1);
    demand(dict.at("foo") == 5);
    demand(dict.get("foo") == 5);
    demand(dict.items() == Items{{"foo", 5}});
    demand(dict.keys() == std::vector<std::string>{"foo"});
    demand(dict.values() == std::vector<int>{5});
    demand(dict.copy() == std::map<std::string, int>{{"foo", 5}});
    demand(dict.popitem() == std::pair<std::string, int>("foo", 5));
}
void with_value(mp::Value<int> value) {
    demand(value.value() == 1);
    demand(value.load() == 1);
    value.store(2);
}
void with_array(mp::Array<int> array) {
    demand(array[0] == 0);
    demand(array[1] == 1);
    demand(array.size() == 2);
    demand(std::accumulate(array.begin(), array.end(), 0) == 1);
}
void with_namespace(mp::Namespace shared) {
    demand(shared.get<int>("x") == 0);
    demand(shared.get<int>("y") == 1);
}

} // namespace

BOOST_AUTO_TEST_SUITE(manager)

MULTIFORK_EACH_START_METHOD(M_016_an_event_in_a_child) {
    mp::Event event;
    event.set();
    support::run_in_child(context, with_event, event);
    BOOST_TEST(!event.is_set());
}

MULTIFORK_EACH_START_METHOD(M_018_locks_in_a_child) {
    mp::Lock lock;
    support::run_in_child(context, with_lock, lock);
    BOOST_TEST(lock.try_lock());
    lock.unlock();
    mp::RLock recursive;
    support::run_in_child(context, with_rlock, recursive);
    BOOST_TEST(recursive.try_lock());
    recursive.unlock();
}

MULTIFORK_EACH_START_METHOD(M_019_a_semaphore_that_the_parent_releases) {
    mp::Semaphore permits{1};
    support::run_in_child(context, with_permits<mp::Semaphore>, permits);
    BOOST_TEST(!permits.try_acquire(), "a permit stays taken when its holder ends normally");
    permits.release();
    BOOST_TEST(permits.try_acquire());
}

MULTIFORK_EACH_START_METHOD(M_020_a_bounded_semaphore_that_the_parent_releases_once) {
    mp::BoundedSemaphore permits{1};
    support::run_in_child(context, with_permits<mp::BoundedSemaphore>, permits);
    permits.release();
    BOOST_CHECK_THROW(permits.release(), mp::Error);
    BOOST_TEST(permits.value() == 1);
}

// A Condition has no lock of its own: it is used with one that is there, as std::condition_variable
// is.
MULTIFORK_EACH_START_METHOD(M_021_a_condition_in_a_child) {
    mp::Lock lock;
    mp::Condition condition;
    mp::Process child = context.process(with_condition, condition, lock);
    std::unique_lock hold(lock); // the child notifies when this thread waits, not before
    child.start();
    BOOST_TEST(condition.wait_for(hold, 1h));
    hold.unlock();
    support::expect_exit(child);
}

MULTIFORK_EACH_START_METHOD(M_022_a_barrier_in_a_child) {
    mp::Barrier barrier{5};
    bool was_sent_away = false;
    std::thread waiting([&] {
        was_sent_away = support::throws<mp::BrokenBarrier>([&] { barrier.arrive_and_wait(); });
    });
    support::run_in_child(context, with_barrier, barrier);
    waiting.join();
    BOOST_TEST(was_sent_away);
    BOOST_TEST(!barrier.broken());
}

MULTIFORK_EACH_START_METHOD(M_025_a_joinable_queue_in_a_child) {
    mp::JoinableQueue<int> queue{2};
    queue.put(5);
    queue.put(6);
    support::run_in_child(context, with_tasks, queue);
    BOOST_TEST(queue.empty());
    BOOST_TEST(!queue.full());
    queue.join();
}

MULTIFORK_EACH_START_METHOD(M_026_a_list_in_a_child) {
    mp::List<int> list{5};
    support::run_in_child(context, with_list, list);
    BOOST_TEST(list.size() == 0u);
}

MULTIFORK_EACH_START_METHOD(M_027_a_dict_in_a_child) {
    mp::Dict<std::string, int> dict;
    dict["foo"] = 5;
    support::run_in_child(context, with_dict, dict);
    BOOST_TEST(dict.size() == 0u);
}

MULTIFORK_EACH_START_METHOD(M_028_a_value_in_a_child) {
    mp::Value<int> value{1};
    support::run_in_child(context, with_value, value);
    BOOST_TEST(value.value() == 2);
    BOOST_TEST(value.load() == 2);
}

MULTIFORK_EACH_START_METHOD(M_029_an_array_in_a_child) {
    support::run_in_child(context, with_array, mp::Array<int>::of({0, 1}));
}

MULTIFORK_EACH_START_METHOD(M_030_a_namespace_in_a_child) {
    mp::Namespace shared;
    shared.set("x", 0);
    shared.set("y", 1);
    support::run_in_child(context, with_namespace, shared);
}

BOOST_AUTO_TEST_SUITE_END()
