#include <multifork/multifork.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"
#include "support/leftovers.hpp"
#include "support/no_backstop.hpp"

#include <multifork/liveness/tuning.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;
using Places = std::vector<std::size_t>;

namespace {

bool readable(int fd, int milliseconds) {
    pollfd entry{fd, POLLIN, 0};
    return ::poll(&entry, 1, milliseconds) == 1;
}

struct PlainPipe {
    PlainPipe() { BOOST_TEST_REQUIRE(::pipe(ends.data()) == 0); }
    ~PlainPipe() {
        ::close(ends[0]);
        ::close(ends[1]);
    }
    void put() { BOOST_TEST(::write(ends[1], "x", 1) == 1); }
    std::array<int, 2> ends{};
};

} // namespace

BOOST_AUTO_TEST_SUITE(waiting, *boost::unit_test::fixture<support::NoBackstop>())

BOOST_AUTO_TEST_CASE(queues_and_connections) {
    mp::Queue<int> queue{4};
    mp::Queue<std::string> words{4};
    auto [a, b] = mp::Pipe<int>();
    BOOST_TEST(mp::wait({queue, words, a}, 0s).empty());
    BOOST_TEST(mp::wait({queue, words, a}, 5ms).empty());
    words.put("x");
    BOOST_TEST((mp::wait({queue, words, a}) == Places{1}));
    b.send(1);
    BOOST_TEST((mp::wait({queue, words, a}) == Places{1, 2}));
    static_cast<void>(words.get());
    static_cast<void>(a.recv());
    std::thread later([&] {
        std::this_thread::sleep_for(10ms);
        queue.close();
    });
    BOOST_TEST((mp::wait({queue, words, a}) == Places{0}));
    later.join();
    BOOST_TEST(mp::wait(std::span<const mp::Waitable>()).empty());
}

BOOST_AUTO_TEST_CASE(the_end_of_a_stream_is_ready_also_after_a_kill) {
    auto [reader, writer] = mp::Pipe<int>(false);
    mp::Process child{[] { ::pause(); }};
    child.start();
    writer.close();
    std::thread killer([&] {
        std::this_thread::sleep_for(5ms);
        child.kill();
    });
    BOOST_TEST((mp::wait({reader}) == Places{0}));
    killer.join();
    BOOST_TEST(reader.poll());
    BOOST_TEST(reader.ended());
}

BOOST_AUTO_TEST_CASE(plain_descriptors_and_processes) {
    PlainPipe first;
    PlainPipe second;
    BOOST_TEST(mp::wait({first.ends[0], second.ends[0]}, 0s).empty());
    second.put();
    BOOST_TEST((mp::wait({first.ends[0], second.ends[0]}) == Places{1}));
    mp::Process child{[] {}};
    child.start();
    BOOST_TEST((mp::wait({first.ends[0], child}, 20s) == Places{1}));
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(everything_together) {
    PlainPipe plain;
    mp::Queue<int> queue{4};
    auto [reader, writer] = mp::Pipe<int>(false);
    mp::Event looked;
    mp::Process child{[&, &w = writer] {
        looked.wait();
        std::this_thread::sleep_for(10ms);
        w.send(1);
        std::this_thread::sleep_for(10ms);
        queue.put(1);
        ::pause();
    }};
    child.start();
    writer.close();
    BOOST_TEST(mp::wait({plain.ends[0], queue, child}, 0s).empty());
    looked.set();
    BOOST_TEST((mp::wait({plain.ends[0], reader, child}, 20s) == Places{1}));
    BOOST_TEST(reader.recv() == 1);
    BOOST_TEST((mp::wait({plain.ends[0], queue, reader, child}, 20s) == Places{1}));
    BOOST_TEST(queue.get() == 1);
    BOOST_TEST(mp::wait({plain.ends[0], queue, reader, child}, 5ms).empty());
    child.kill();
    const auto ready = mp::wait({plain.ends[0], reader, queue}, 20s);
    BOOST_TEST((ready == Places{1}));
    child.join();
    plain.put();
    BOOST_TEST((mp::wait({plain.ends[0], queue}, 20s) == Places{0}));
}

BOOST_AUTO_TEST_CASE(named_queues_lie_in_another_memory) {
    const std::string name = support::unique_name("wait");
    auto named = mp::Queue<int>::create(name, 4);
    mp::Queue<int> queue{4};
    BOOST_TEST(mp::wait({named, queue}, 5ms).empty());
    mp::Process child{[&] {
        std::this_thread::sleep_for(10ms);
        named.put(3);
    }};
    child.start();
    BOOST_TEST((mp::wait({queue, named}, 20s) == Places{1}));
    support::expect_exit(child);
}

BOOST_AUTO_TEST_CASE(more_than_a_sleeper_can_name) {
    std::vector<mp::Queue<int>> queues;
    for (int i = 0; i < 100; ++i)
        queues.emplace_back(1u);
    const std::vector<mp::Waitable> all(queues.begin(), queues.end());
    BOOST_TEST(mp::wait(std::span(all), 5ms).empty());
    std::thread later([&] {
        std::this_thread::sleep_for(10ms);
        queues[90].put(1);
    });
    BOOST_TEST((mp::wait(std::span(all), 20s) == Places{90}));
    later.join();
}

// Who waits takes nothing: the wake-up goes on to who does. (Hangs without passing it on.)
BOOST_AUTO_TEST_CASE(who_waits_keeps_no_wake_up_from_who_takes) {
    mp::liveness::tuning().spins = 0;
    mp::liveness::tuning().yields = 0;
    for (int round = 0; round < support::scaled(200); ++round) {
        mp::Queue<int> queue{4};
        std::thread waiter([&] { static_cast<void>(mp::wait({queue})); });
        std::thread taker([&] { static_cast<void>(queue.get()); });
        if (round % 2 == 0)
            std::this_thread::sleep_for(1ms);
        queue.put(1);
        taker.join();
        queue.put(1);
        waiter.join();
    }
}

BOOST_AUTO_TEST_CASE(bad_descriptors_are_refused) {
    BOOST_CHECK_THROW(static_cast<void>(mp::wait({-1})), mp::InvalidArgument);
    support::expect_error<mp::InvalidArgument>([] { static_cast<void>(mp::wait({44977608})); },
                                               {"44977608", "no open descriptor"});
    auto [reader, writer] = mp::Pipe<int>(false);
    BOOST_CHECK_THROW(static_cast<void>(mp::wait({writer})), mp::Error);
}

BOOST_AUTO_TEST_CASE(a_descriptor_shows_what_is_ready) {
    mp::Queue<int> queue{4};
    mp::Readiness ready{queue};
    BOOST_TEST(!readable(ready.fd(), 5));
    queue.put(1);
    queue.put(2);
    BOOST_TEST(readable(ready.fd(), 20'000));
    BOOST_TEST(queue.get() == 1);
    ready.rearm();
    BOOST_TEST(readable(ready.fd(), 20'000)); // there is another
    BOOST_TEST(queue.get() == 2);
    ready.rearm();
    BOOST_TEST(!readable(ready.fd(), 5));
    support::run_in_child([&] { queue.put(3); });
    BOOST_TEST(readable(ready.fd(), 20'000));
}

BOOST_AUTO_TEST_CASE(a_descriptor_shows_a_message_and_the_end_of_the_stream) {
    auto [reader, writer] = mp::Pipe<int>(false);
    mp::Readiness ready{reader};
    mp::Process child{[&, &w = writer] {
        w.send(1);
        ::pause();
    }};
    child.start();
    writer.close();
    BOOST_TEST(readable(ready.fd(), 20'000));
    BOOST_TEST(reader.recv() == 1);
    ready.rearm();
    BOOST_TEST(!readable(ready.fd(), 5));
    child.kill();
    BOOST_TEST(readable(ready.fd(), 20'000));
    BOOST_TEST(reader.ended());
}

BOOST_AUTO_TEST_CASE(what_is_closed_is_ready_and_its_memory_is_not_touched) {
    for (int i = 0; i < support::scaled(50); ++i) {
        auto ends = mp::Pipe<int>();
        mp::Readiness ready{ends.first};
        std::thread waiter([&] {
            try {
                static_cast<void>(mp::wait({ends.first}));
            } catch (const mp::ConnectionClosed&) {
                // close() came first
            }
        });
        if (i % 2 == 0)
            std::this_thread::sleep_for(1ms);
        ends.first.close();
        waiter.join();
        BOOST_TEST(readable(ready.fd(), 20'000));
        BOOST_CHECK_THROW(static_cast<void>(mp::wait({ends.first})), mp::ConnectionClosed);
    }
}

// ThreadSanitizer allows no thread in a child of a program with threads.
BOOST_AUTO_TEST_CASE(a_child_makes_its_own_descriptor, *boost::unit_test::label("no_tsan")) {
    mp::Queue<int> queue{4};
    mp::Readiness ready{queue};
    BOOST_TEST(!readable(ready.fd(), 1));
    support::run_in_child([&] {
        bool refused = false;
        try {
            ready.rearm();
        } catch (const mp::Error&) {
            refused = true;
        }
        support::demand(refused);
        mp::Readiness own{queue};
        support::demand(!readable(own.fd(), 1));
        queue.put(1);
        support::demand(readable(own.fd(), 20'000));
    });
    BOOST_TEST(readable(ready.fd(), 20'000));
}

BOOST_AUTO_TEST_CASE(descriptors_come_and_go) {
    const mp::Queue<int> first{1}; // makes the arena, which has a descriptor
    const auto before = support::open_descriptors();
    for (int i = 0; i < support::scaled(100); ++i) {
        mp::Queue<int> queue{1};
        mp::Readiness ready{queue};
        queue.put(1);
        BOOST_TEST_REQUIRE(readable(ready.fd(), 20'000));
    }
    support::wait_until([&] { return support::open_descriptors() == before; });
}

BOOST_AUTO_TEST_SUITE_END()
