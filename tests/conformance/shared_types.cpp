#include <multifork/multifork.hpp>

#include "support/children.hpp"

#include <boost/test/unit_test.hpp>

#include <mutex>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;

// What Python keeps in the server of a Manager is shared by itself here: the objects cross into the
// child.
BOOST_AUTO_TEST_SUITE(shared_types)

BOOST_AUTO_TEST_CASE(M_019_semaphore_released_by_the_parent) {
    mp::Semaphore permits{1};
    support::run_in_child([&] { permits.acquire(); });
    BOOST_TEST(permits.value() == 0);
    BOOST_TEST(!permits.try_acquire());
    permits.release();
    BOOST_TEST(permits.value() == 1);
    BOOST_TEST(permits.try_acquire());
    permits.release();
}

BOOST_AUTO_TEST_CASE(M_025_joinable_queue_filled_and_emptied) {
    mp::JoinableQueue<int> queue{2};
    queue.put(5);
    queue.put(6);
    BOOST_TEST(queue.full());
    BOOST_TEST(!queue.try_put(7));
    support::run_in_child([&] {
        support::demand(!queue.empty());
        for (const int expected : {5, 6}) {
            auto task = queue.get();
            support::demand(*task == expected);
            task.task_done();
        }
        support::demand(queue.empty() && !queue.try_get().has_value());
    });
    BOOST_TEST(queue.empty());
    queue.join();
}

BOOST_AUTO_TEST_CASE(M_028_value_set_by_a_child) {
    mp::Value<int> value{1};
    support::run_in_child([&] {
        support::demand(value.value() == 1 && value.load() == 1);
        value.store(2);
    });
    BOOST_TEST(value.value().get() == 2);
    BOOST_TEST(value.load() == 2);
}

BOOST_AUTO_TEST_CASE(M_029_array_read_by_a_child) {
    auto array = mp::Array<int>::of({0, 1});
    support::run_in_child([&] {
        support::demand(array[0] == 0 && array[1] == 1 && array.size() == 2);
        const std::scoped_lock hold{array.get_lock()};
        support::demand(std::vector<int>(array.begin(), array.end()) == std::vector<int>{0, 1});
    });
}

BOOST_AUTO_TEST_SUITE_END()
