#include <multifork/channel/queue.hpp>

#include "support/children.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <thread>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;
using namespace std::chrono_literals;

// Queues whose elements lie in their slots as they are; queue_messages.cpp has the others.

BOOST_AUTO_TEST_SUITE(queue_values)

BOOST_AUTO_TEST_CASE(a_new_queue_is_empty_and_open) {
    const mp::Queue<int> queue{3};
    BOOST_TEST(queue.size() == 0U);
    BOOST_TEST(queue.capacity() == 3U);
    BOOST_TEST(queue.empty());
    BOOST_TEST(!queue.full());
    BOOST_TEST(!queue.closed());
}

BOOST_AUTO_TEST_CASE(first_in_first_out_many_times_round) {
    mp::Queue<int> queue{7};
    int next_in = 0;
    int next_out = 0;
    for (int round = 0; round < 100; ++round) {
        for (int i = 0; i < 1 + round % 7; ++i)
            queue.put(next_in++);
        while (!queue.empty())
            BOOST_TEST(queue.get() == next_out++);
    }
    BOOST_TEST(next_out == next_in);
}

BOOST_AUTO_TEST_CASE(a_queue_for_one_element) {
    mp::Queue<int> queue{1};
    for (int i = 0; i < 10; ++i) {
        queue.put(i);
        BOOST_TEST(queue.full());
        BOOST_TEST(!queue.try_put(99));
        BOOST_TEST(queue.try_get().value() == i);
        BOOST_TEST(!queue.try_get().has_value());
    }
}

BOOST_AUTO_TEST_CASE(try_forms_do_not_wait) {
    mp::Queue<int> queue{2};
    BOOST_TEST(!queue.try_get().has_value());
    BOOST_TEST(!queue.try_get_for(0s).has_value());
    BOOST_TEST(!queue.try_get_for(-1h).has_value());
    BOOST_TEST(!queue.try_get_for(std::chrono::hours::min()).has_value());
    BOOST_TEST(queue.try_put(1));
    BOOST_TEST(queue.try_put_for(2, -1s));
    BOOST_TEST(!queue.try_put(3));
    BOOST_TEST(!queue.try_put_for(3, 0s));
    BOOST_TEST(!queue.try_put_for(3, -1h));
    BOOST_TEST(queue.size() == 2U);
}

BOOST_AUTO_TEST_CASE(timed_waits_last_their_time) {
    mp::Queue<int> queue{1};
    auto begin = std::chrono::steady_clock::now();
    BOOST_TEST(!queue.try_get_for(20ms).has_value());
    BOOST_TEST((std::chrono::steady_clock::now() - begin >= 20ms));
    queue.put(1);
    begin = std::chrono::steady_clock::now();
    BOOST_TEST(!queue.try_put_for(2, 20ms));
    BOOST_TEST((std::chrono::steady_clock::now() - begin >= 20ms));
}

BOOST_AUTO_TEST_CASE(huge_durations_wait_for_the_other_side) {
    mp::Queue<int> queue{1};
    int first = 0;
    int second = 0;
    std::thread consumer([&] {
        first = queue.try_get_for(std::chrono::hours::max()).value();
        second = queue.try_get_for(std::chrono::nanoseconds::max()).value();
    });
    std::this_thread::sleep_for(5ms);
    queue.put(1);
    BOOST_TEST(queue.try_put_for(2, std::chrono::hours::max()));
    consumer.join();
    BOOST_TEST(first == 1);
    BOOST_TEST(second == 2);
}

BOOST_AUTO_TEST_CASE(put_waits_for_room_and_get_for_an_element) {
    mp::Queue<int> queue{2};
    std::thread producer([&] {
        for (int i = 0; i < 1000; ++i)
            queue.put(i);
    });
    for (int i = 0; i < 1000; ++i)
        BOOST_TEST(queue.get() == i);
    producer.join();
}

BOOST_AUTO_TEST_CASE(range_for_ends_when_closed_and_drained) {
    mp::Queue<int> queue{4};
    std::thread producer([&] {
        for (int i = 0; i < 100; ++i)
            queue.put(i);
        queue.close();
    });
    int expected = 0;
    for (const int& got : queue)
        BOOST_TEST(got == expected++);
    BOOST_TEST(expected == 100);
    producer.join();
}

BOOST_AUTO_TEST_CASE(iterators_serve_the_algorithms) {
    static_assert(std::input_iterator<mp::Queue<int>::iterator>);
    mp::Queue<int> queue{8};
    for (int i = 1; i <= 4; ++i)
        queue.put(i);
    queue.close();
    int sum = 0;
    std::ranges::for_each(queue, [&](int i) { sum += i; });
    BOOST_TEST(sum == 10);
}

BOOST_AUTO_TEST_CASE(an_early_break_takes_no_more_than_it_saw) {
    mp::Queue<int> queue{8};
    for (int i = 0; i < 5; ++i)
        queue.put(i);
    for (const int i : queue)
        if (i == 1)
            break;
    BOOST_TEST(queue.get() == 2);
}

BOOST_AUTO_TEST_CASE(close_lets_readers_drain_first) {
    mp::Queue<int> queue{4};
    queue.put(1);
    queue.put(2);
    queue.close();
    queue.close(); // twice is once
    BOOST_TEST(queue.closed());
    BOOST_TEST(queue.size() == 2U);
    support::expect_error<mp::QueueClosed>([&] { queue.put(3); }, {"put()", "closed"});
    BOOST_CHECK_THROW(static_cast<void>(queue.try_put(3)), mp::QueueClosed);
    BOOST_CHECK_THROW(static_cast<void>(queue.try_put_for(3, 1s)), mp::QueueClosed);
    BOOST_TEST(queue.get() == 1);
    BOOST_TEST(queue.try_get().value() == 2);
    BOOST_TEST(!queue.try_get().has_value());
    BOOST_TEST(!queue.try_get_for(1h).has_value()); // at once
    support::expect_error<mp::QueueClosed>([&] { static_cast<void>(queue.get()); },
                                           {"drained", "try_get"});
}

BOOST_AUTO_TEST_CASE(close_of_a_full_queue_refuses_puts_as_closed) {
    mp::Queue<int> queue{1};
    queue.put(1);
    queue.close();
    BOOST_CHECK_THROW(static_cast<void>(queue.try_put(2)), mp::QueueClosed);
    BOOST_TEST(queue.get() == 1);
}

BOOST_AUTO_TEST_CASE(close_wakes_all_who_wait) {
    mp::Queue<int> empty{1};
    mp::Queue<int> full{1};
    full.put(0);
    std::atomic<int> told{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            told += support::throws<mp::QueueClosed>([&] { static_cast<void>(empty.get()); });
        });
        threads.emplace_back(
            [&] { told += support::throws<mp::QueueClosed>([&] { full.put(1); }); });
    }
    std::this_thread::sleep_for(20ms); // most of the time they sleep by now; either way is right
    empty.close();
    full.close();
    for (std::thread& thread : threads)
        thread.join();
    BOOST_TEST(told == 6);
}

// Fails when producers or consumers do not exclude each other.
BOOST_AUTO_TEST_CASE(many_producers_and_consumers_lose_and_double_nothing) {
    constexpr int producers = 3;
    constexpr int consumers = 3;
    const int each = support::scaled(20'000);
    mp::Queue<int> queue{16};
    std::vector<std::vector<int>> got(consumers);
    std::vector<std::thread> all;
    for (int p = 0; p < producers; ++p)
        all.emplace_back([&, p] {
            for (int i = 0; i < each; ++i)
                queue.put(p * each + i);
        });
    std::vector<std::thread> readers;
    for (std::vector<int>& mine : got)
        readers.emplace_back([&] {
            for (const int i : queue)
                mine.push_back(i);
        });
    for (std::thread& thread : all)
        thread.join();
    queue.close();
    for (std::thread& thread : readers)
        thread.join();
    std::vector<int> seen(static_cast<std::size_t>(producers * each), 0);
    for (const std::vector<int>& mine : got) {
        std::array<int, producers> last;
        last.fill(-1);
        for (const int i : mine) {
            ++seen[static_cast<std::size_t>(i)];
            int& before = last[static_cast<std::size_t>(i / each)];
            BOOST_REQUIRE(i > before); // one producer's elements stay in order
            before = i;
        }
    }
    BOOST_TEST(std::ranges::all_of(seen, [](int n) { return n == 1; }));
}

BOOST_AUTO_TEST_CASE(elements_of_many_shapes) {
    struct Empty {};
    mp::Queue<Empty> empties{2};
    empties.put({});
    BOOST_TEST(empties.try_get().has_value());

    mp::Queue<char> chars{300};
    for (int i = 0; i < 300; ++i)
        chars.put(static_cast<char>(i));
    for (int i = 0; i < 300; ++i)
        BOOST_TEST(chars.get() == static_cast<char>(i));

    struct alignas(64) Line {
        std::array<std::uint64_t, 8> words;
    };
    mp::Queue<Line> lines{3};
    for (std::uint64_t i = 0; i < 9; ++i) {
        lines.put({{i, 0, 0, 0, 0, 0, 0, i}});
        BOOST_TEST(lines.get().words[7] == i);
    }

    using Page = std::array<std::byte, 65536>;
    mp::Queue<Page> pages{2};
    auto page = std::make_unique<Page>();
    page->fill(std::byte{7});
    pages.put(*page);
    BOOST_TEST((pages.get() == *page));

    mp::Queue<bool> bools{2};
    bools.put(true);
    BOOST_TEST(bools.get());
    mp::Queue<double> doubles{2};
    doubles.put(2.25);
    BOOST_TEST(doubles.get() == 2.25);
}

BOOST_AUTO_TEST_CASE(copies_mean_the_same_queue) {
    mp::Queue<int> queue{2};
    mp::Queue<int> copy = queue;
    queue.put(1);
    BOOST_TEST(copy.get() == 1);
    copy.close();
    BOOST_TEST(queue.closed());
}

BOOST_AUTO_TEST_CASE(a_small_queue_needs_little_of_the_arena) {
    const auto before = mp::arena::arena_usage().bytes_used;
    const mp::Queue<int> queue{64};
    BOOST_TEST(mp::arena::arena_usage().bytes_used - before <= 16U << 10);
}

BOOST_AUTO_TEST_SUITE_END()
