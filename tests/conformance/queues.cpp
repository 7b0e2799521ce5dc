#include <multifork/channel/queue.hpp>
#include <multifork/error.hpp>
#include <multifork/process/process.hpp>

#include "support/children.hpp"
#include "support/program.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

namespace {

struct Unserialisable {
    bool refuse = false;
    std::string text;

    template <class Archive>
    void save(Archive& archive) const {
        if (refuse)
            throw std::runtime_error("cannot be serialised");
        archive(text);
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(text);
    }
};

// Runs while the static objects of the program are being made.
const support::Program during_start{"queue-during-static-initialisation", [] {
                                        mp::Queue<std::string> queue{2};
                                        queue.put("early");
                                        const bool right = queue.try_get_for(3s) == "early";
                                        queue.close();
                                        return right ? 0 : 1;
                                    }};

template <class Wait>
void lasts_at_least(std::chrono::milliseconds least, Wait wait) {
    const auto begin = std::chrono::steady_clock::now();
    BOOST_TEST(!wait());
    BOOST_TEST((std::chrono::steady_clock::now() - begin >= least));
}

} // namespace

BOOST_AUTO_TEST_SUITE(queues)

// put() without a wait is try_put(); Full is `false`. Nothing buffers, so there is no pause.
BOOST_AUTO_TEST_CASE(Q_001_put) {
    mp::Queue<int> queue{6};
    mp::Queue<int> gate{1};
    mp::Queue<int> taken{1};
    mp::Process child{[&] {
        static_cast<void>(gate.get());
        for (int i = 1; i <= 6; ++i)
            support::demand(queue.get() == i);
        taken.put(1);
    }};
    child.start();
    BOOST_TEST(queue.empty());
    BOOST_TEST(!queue.full());
    queue.put(1);
    queue.put(2);
    BOOST_TEST(queue.try_put(3));
    BOOST_TEST(queue.try_put(4));
    BOOST_TEST(queue.try_put_for(5, 100ms));
    BOOST_TEST(queue.try_put_for(6, 0ms));
    BOOST_TEST(!queue.empty());
    BOOST_TEST(queue.full());
    BOOST_TEST(!queue.try_put(7));
    BOOST_TEST(!queue.try_put_for(7, 0s));
    BOOST_TEST(!queue.try_put_for(7, -1s));
    lasts_at_least(100ms, [&] { return queue.try_put_for(7, 100ms); });
    gate.put(1);
    static_cast<void>(taken.get());
    BOOST_TEST(queue.empty());
    BOOST_TEST(!queue.full());
    support::expect_exit(child);
}

// get() without a wait is try_get(); Empty is an empty optional.
BOOST_AUTO_TEST_CASE(Q_002_get) {
    mp::Queue<int> queue{5};
    mp::Process child{[&] {
        for (int i = 2; i <= 5; ++i)
            queue.put(i);
    }};
    child.start();
    support::expect_exit(child);
    BOOST_TEST(queue.get() == 2);
    BOOST_TEST(queue.get() == 3);
    BOOST_TEST(queue.try_get_for(1s).value() == 4);
    BOOST_TEST(queue.try_get().value() == 5);
    BOOST_TEST(queue.empty());
    BOOST_TEST(!queue.try_get().has_value());
    BOOST_TEST(!queue.try_get_for(0s).has_value());
    lasts_at_least(100ms, [&] { return queue.try_get_for(100ms).has_value(); });
}

BOOST_AUTO_TEST_CASE(Q_004_size) {
    mp::Queue<int> queue{4};
    BOOST_TEST(queue.size() == 0U);
    queue.put(1);
    BOOST_TEST(queue.size() == 1U);
    queue.put(5);
    BOOST_TEST(queue.size() == 2U);
    static_cast<void>(queue.get());
    BOOST_TEST(queue.size() == 1U);
    static_cast<void>(queue.get());
    BOOST_TEST(queue.size() == 0U);
}

BOOST_AUTO_TEST_CASE(Q_006_during_static_initialisation) {
    BOOST_TEST(support::run_program("queue-during-static-initialisation").code == 0);
}

BOOST_AUTO_TEST_CASE(Q_007_timeout) {
    mp::Queue<int> queue{1};
    lasts_at_least(200ms, [&] { return queue.try_get_for(200ms).has_value(); });
}

// put() serialises at once, so the error goes to its caller, who knows the object.
BOOST_AUTO_TEST_CASE(Q_009_what_cannot_be_serialised_does_not_disturb_the_next) {
    mp::Queue<Unserialisable> queue{1};
    BOOST_CHECK_THROW(queue.put({true, ""}), std::runtime_error);
    queue.put({false, "next"});
    BOOST_TEST(queue.get().text == "next");
}

// close() is for all processes here, and readers drain first: get() throws when nothing is left.
BOOST_AUTO_TEST_CASE(Q_011_put_and_get_after_close) {
    mp::Queue<int> queue{2};
    queue.put(1);
    queue.close();
    BOOST_CHECK_THROW(queue.put(2), mp::QueueClosed);
    support::run_in_child([&] { support::demand(queue.get() == 1); });
    BOOST_CHECK_THROW(static_cast<void>(queue.get()), mp::QueueClosed);
    BOOST_CHECK_THROW(queue.put(2), mp::QueueClosed);
}

// There is no SimpleQueue: Queue is that simple. empty() of a closed queue is an answer, no error.
BOOST_AUTO_TEST_CASE(Q_013_Q_014_close_twice_and_empty_after_close) {
    mp::Queue<int> queue{2};
    queue.close();
    queue.close();
    BOOST_TEST(queue.closed());
    BOOST_TEST(queue.empty());
}

BOOST_AUTO_TEST_CASE(Q_015_a_dropped_queue_leaves_no_descriptor_and_no_memory) {
    { const mp::Queue<int> first{2}; } // makes the arena
    const std::size_t descriptors = support::open_descriptors();
    const auto before = mp::arena::arena_usage();
    {
        mp::Queue<int> queue{2};
        queue.put(1);
        queue.close();
    }
    BOOST_TEST(support::open_descriptors() == descriptors);
    BOOST_TEST(mp::arena::arena_usage().blocks_used == before.blocks_used);
}

BOOST_AUTO_TEST_SUITE_END()
