#include <multifork/lab/lost_update.hpp>
#include <multifork/lab/trace.hpp>
#include <multifork/multifork.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

namespace mp = multifork;
using mp::lab::Access;
using mp::lab::TraceEvent;
using namespace std::chrono_literals;

namespace {

/// An increment of `value`: loaded at `load`, stored at `store`, each taking two nanoseconds.
void increment(std::vector<TraceEvent>& lane, std::int64_t value, std::int64_t load,
               std::int64_t store) {
    const auto sequence = static_cast<std::uint32_t>(lane.size());
    lane.push_back({load, load + 2, value, Access::load, 0, sequence});
    lane.push_back({store, store + 2, value + 1, Access::store, 0, sequence + 1});
}

struct Race {
    std::vector<TraceEvent> first;
    std::vector<TraceEvent> second;
    int got = 0;
};

/// Two processes that add one to a number, `each` times, and trace it; under `lock` or without.
Race race(int each, mp::Lock* lock) {
    mp::Value<int> counter{0};
    mp::Semaphore gate{0};
    const mp::lab::Trace trace(2, 2 * static_cast<std::size_t>(each));
    const auto work = [&](std::size_t me) {
        auto lane = trace.lane(me);
        gate.acquire();
        for (int i = 0; i < each; ++i) {
            std::unique_lock<mp::Lock> hold;
            if (lock != nullptr)
                hold = std::unique_lock(*lock);
            const int seen = lane.load(counter.value());
            lane.store(counter.value(), seen + 1);
        }
    };
    mp::Process a(work, 0U);
    mp::Process b(work, 1U);
    a.start();
    b.start();
    gate.release(2);
    a.join();
    b.join();
    BOOST_TEST(a.exitcode().value() == 0);
    BOOST_TEST(b.exitcode().value() == 0);
    return {trace.events(0), trace.events(1), counter.load()};
}

} // namespace

// What the demo race-counter shows rests on these.
BOOST_AUTO_TEST_SUITE(demo_trace)

BOOST_AUTO_TEST_CASE(another_process_reads_what_one_recorded) {
    mp::Value<int> number{41};
    const mp::lab::Trace trace(2, 8);
    mp::Process writer{[&] {
        auto lane = trace.lane(1);
        const int seen = lane.load(number.value());
        lane.store(number.value(), seen + 1);
    }};
    writer.start();
    writer.join();

    BOOST_TEST(number.load() == 42);
    BOOST_TEST(trace.events(0).empty());
    const auto events = trace.events(1);
    BOOST_TEST_REQUIRE(events.size() == 2);
    BOOST_TEST((events[0].access == Access::load && events[0].value == 41));
    BOOST_TEST((events[1].access == Access::store && events[1].value == 42));
    BOOST_TEST(events[0].begin <= events[0].end);
    BOOST_TEST(events[0].end <= events[1].begin);
    BOOST_TEST(events[1].begin <= events[1].end);
    BOOST_TEST(events[1].sequence == 1);
}

BOOST_AUTO_TEST_CASE(full_lane_drops_and_counts_what_it_dropped) {
    mp::Value<int> number{0};
    const mp::lab::Trace trace(1, 3);
    auto lane = trace.lane(0);
    for (int i = 0; i < 5; ++i)
        lane.store(number.value(), i);
    BOOST_TEST(number.load() == 4);
    BOOST_TEST(trace.events(0).size() == 3);
    BOOST_TEST(trace.events(0).back().value == 2);
    BOOST_TEST(trace.dropped(0) == 2);
}

BOOST_AUTO_TEST_CASE(killed_writer_leaves_whole_events) {
    mp::Value<int> number{0};
    const mp::lab::Trace trace(1, 1'000'000);
    mp::Process writer{{.daemon = true}, [&] {
                           auto lane = trace.lane(0);
                           for (int i = 0;; ++i)
                               lane.store(number.value(), i);
                       }};
    writer.start();
    while (trace.events(0).size() < 1000)
        std::this_thread::sleep_for(1ms);
    writer.kill();
    writer.join();

    std::int64_t expected = 0;
    for (const TraceEvent& event : trace.events(0)) {
        BOOST_TEST_REQUIRE(event.value == expected);
        BOOST_TEST_REQUIRE(event.sequence == expected);
        BOOST_TEST_REQUIRE(event.begin <= event.end);
        ++expected;
    }
}

BOOST_AUTO_TEST_CASE(impossible_traces_and_lanes_are_refused) {
    BOOST_CHECK_THROW(mp::lab::Trace(0, 1), mp::InvalidArgument);
    BOOST_CHECK_THROW(mp::lab::Trace(1, 0), mp::InvalidArgument);
    BOOST_CHECK_THROW(mp::lab::Trace(1, SIZE_MAX), mp::InvalidArgument);
    BOOST_CHECK_THROW(mp::lab::Trace(SIZE_MAX, 1), mp::InvalidArgument);
    const mp::lab::Trace trace(1, 1);
    BOOST_CHECK_THROW(static_cast<void>(trace.lane(1)), mp::InvalidArgument);
    BOOST_CHECK_THROW(static_cast<void>(trace.events(1)), mp::InvalidArgument);
}

BOOST_AUTO_TEST_CASE(store_over_a_store_is_a_lost_update) {
    std::vector<TraceEvent> a;
    std::vector<TraceEvent> b;
    increment(a, 41, 10, 20);
    increment(b, 41, 12, 30);
    const auto found = mp::lab::find_lost_updates(a, b);
    BOOST_TEST_REQUIRE(found.size() == 1);
    BOOST_TEST(found[0].late == 1);
    BOOST_TEST(found[0].load == 0);
    BOOST_TEST(found[0].first == 0);
    BOOST_TEST(found[0].last == 1);
    BOOST_TEST(found[0].lost == 1);
    BOOST_TEST(mp::lab::duration(found[0], a, b) == 22);
}

BOOST_AUTO_TEST_CASE(late_store_can_lose_many) {
    std::vector<TraceEvent> a;
    std::vector<TraceEvent> b;
    increment(a, 7, 0, 1000);
    for (int i = 0; i < 5; ++i)
        increment(b, 7 + i, 100 + 20 * i, 110 + 20 * i);
    increment(b, 8, 1010, 1020);
    const auto found = mp::lab::find_lost_updates(a, b);
    BOOST_TEST_REQUIRE(found.size() == 1);
    BOOST_TEST(found[0].late == 0);
    BOOST_TEST(found[0].first == 0);
    BOOST_TEST(found[0].last == 9);
    BOOST_TEST(found[0].lost == 5);
}

BOOST_AUTO_TEST_CASE(increments_one_after_the_other_lose_nothing) {
    std::vector<TraceEvent> a;
    std::vector<TraceEvent> b;
    for (int i = 0; i < 10; ++i)
        increment(i % 2 == 0 ? a : b, i, 20 * i, 20 * i + 10);
    BOOST_TEST(mp::lab::find_lost_updates(a, b).empty());
    BOOST_TEST(mp::lab::find_lost_updates({}, a).empty());
    BOOST_TEST(mp::lab::find_lost_updates({}, {}).empty());
}

BOOST_AUTO_TEST_CASE(overlapping_stores_are_not_called_a_lost_update) {
    std::vector<TraceEvent> a;
    std::vector<TraceEvent> b;
    increment(a, 41, 10, 20);
    increment(b, 41, 12, 21); // began before a's store had ended
    BOOST_TEST(mp::lab::find_lost_updates(a, b).empty());
}

BOOST_AUTO_TEST_CASE(race_without_a_lock_shows_lost_updates) {
    for (int each = 10'000;; each = each < 500'000 ? each * 2 : each) {
        const Race run = race(each, nullptr);
        const auto found = mp::lab::find_lost_updates(run.first, run.second);
        if (found.empty())
            continue; // the watchdog ends this if it goes on for ever
        BOOST_TEST(run.got < 2 * each);
        for (const auto& update : found) {
            const auto& late = update.late == 0 ? run.first : run.second;
            const auto& early = update.late == 0 ? run.second : run.first;
            BOOST_TEST_REQUIRE(late[update.load].value == early[update.first].value);
            BOOST_TEST_REQUIRE(late[update.load + 1].value == late[update.load].value + 1);
            BOOST_TEST_REQUIRE(early[update.last].value == late[update.load].value + update.lost);
        }
        return;
    }
}

BOOST_AUTO_TEST_CASE(race_under_a_lock_shows_none) {
    mp::Lock lock;
    const Race run = race(100'000, &lock);
    BOOST_TEST(run.got == 200'000);
    BOOST_TEST(run.first.size() == 200'000);
    BOOST_TEST(mp::lab::find_lost_updates(run.first, run.second).empty());
}

BOOST_AUTO_TEST_SUITE_END()
