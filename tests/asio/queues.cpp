#include "asio/support.hpp"
#include "support/children.hpp"
#include "support/start_methods.hpp"

#include <multifork/channel/pipe.hpp>
#include <multifork/channel/queue.hpp>
#include <multifork/process/process.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace asio::experimental::awaitable_operators;
using Coroutine = asio::awaitable<void>;

namespace {

void put_words(mp::Queue<std::string> words, int count) {
    for (int i = 0; i < count; ++i)
        words.put("word " + std::to_string(i));
    words.close();
}
void put_numbers(mp::Queue<int> numbers, int from, int to) {
    for (int i = from; i < to; ++i)
        numbers.put(i);
}
Coroutine take_all(mp::Queue<int> queue, std::vector<int>& into) {
    while (const auto item = co_await queue.async_get(asio::use_awaitable))
        into.push_back(*item);
}
std::vector<int> numbers_up_to(int end) {
    std::vector<int> all(static_cast<std::size_t>(end));
    std::iota(all.begin(), all.end(), 0);
    return all;
}

/// Throws when it is read.
struct Unreadable {
    std::string text;
    template <class Archive>
    void save(Archive& archive) const {
        archive(text);
    }
    template <class Archive>
    void load(Archive& archive) {
        archive(text);
        throw std::length_error("cannot be read");
    }
};

} // namespace

BOOST_AUTO_TEST_SUITE(queues)

MULTIFORK_EACH_START_METHOD(what_another_process_puts_is_got) {
    mp::Queue<std::string> words{4};
    mp::Process producer = context.process(put_words, words, 500);
    producer.start();
    asio::io_context io;
    int got = 0;
    const auto take = [](mp::Queue<std::string> queue, int& count) -> Coroutine {
        while (const auto word = co_await mp::async_get(queue)) {
            BOOST_TEST(*word == "word " + std::to_string(count));
            ++count;
        }
    };
    support::run(io, take(words, got));
    BOOST_TEST(got == 500);
    support::expect_exit(producer);
}

BOOST_AUTO_TEST_CASE(many_coroutines_share_a_queue) {
    constexpr int items = 2000;
    mp::Queue<int> numbers{16};
    mp::Process first{put_numbers, numbers, 0, items / 2};
    mp::Process second{put_numbers, numbers, items / 2, items};
    std::vector<std::vector<int>> got(100);
    asio::io_context io;
    for (auto& into : got)
        asio::co_spawn(io, take_all(numbers, into), asio::detached);
    const auto produce = [](mp::Process& a, mp::Process& b, mp::Queue<int> queue) -> Coroutine {
        a.start();
        b.start();
        const int a_ended = co_await mp::async_join(a);
        const int b_ended = co_await mp::async_join(b);
        BOOST_TEST(a_ended == 0);
        BOOST_TEST(b_ended == 0);
        queue.close();
    };
    support::run(io, produce(first, second, numbers));
    std::vector<int> all;
    for (const auto& into : got)
        all.insert(all.end(), into.begin(), into.end());
    std::sort(all.begin(), all.end());
    BOOST_TEST(all == numbers_up_to(items), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(many_queues_in_one_io_context) {
    std::vector<mp::Queue<int>> all;
    for (int i = 0; i < 150; ++i)
        all.emplace_back(2);
    std::vector<std::vector<int>> got(all.size());
    asio::io_context io;
    for (std::size_t i = 0; i < all.size(); ++i)
        asio::co_spawn(io, take_all(all[i], got[i]), asio::detached);
    mp::Process producer{[&] {
        for (int round = 0; round < 5; ++round)
            for (auto& queue : all)
                queue.put(round);
        for (auto& queue : all)
            queue.close();
    }};
    producer.start();
    io.run();
    for (const auto& into : got)
        BOOST_TEST((into == numbers_up_to(5)));
    support::expect_exit(producer);
}

BOOST_AUTO_TEST_CASE(a_producer_that_is_killed_takes_nothing_with_it) {
    mp::Queue<int> numbers{8};
    mp::Process producer{[&] {
        for (int i = 0;; ++i) {
            numbers.put(i);
            if (i == 1000)
                ::kill(::getpid(), SIGKILL);
        }
    }};
    producer.start();
    asio::io_context io;
    std::vector<int> got;
    const auto take = [](mp::Queue<int> queue, mp::Process& dies,
                         std::vector<int>& into) -> Coroutine {
        while (true) {
            const auto next = co_await (mp::async_get(queue) || mp::async_join(dies));
            if (next.index() == 1) {
                BOOST_TEST(std::get<1>(next) == -SIGKILL);
                break;
            }
            into.push_back(std::get<0>(next).value());
        }
        while (const auto left = queue.try_get())
            into.push_back(*left);
    };
    support::run(io, take(numbers, producer, got));
    BOOST_TEST(got == numbers_up_to(1001), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_cancelled_get_has_taken_nothing) {
    mp::Queue<int> numbers{4};
    asio::io_context io;
    asio::cancellation_signal stop;
    std::exception_ptr error;
    bool called = false;
    const auto handler = [&](std::exception_ptr thrown, std::optional<int> item) {
        called = true;
        error = thrown;
        BOOST_TEST(!item.has_value());
    };
    mp::async_get(numbers,
                  asio::bind_cancellation_slot(stop.slot(), asio::bind_executor(io, handler)));
    io.run_for(50ms);
    BOOST_TEST(!called);
    // The item comes, and the watch may have seen it, before the operation is cancelled.
    numbers.put(7);
    stop.emit(asio::cancellation_type::terminal);
    io.restart();
    io.run();
    BOOST_TEST(called);
    BOOST_TEST(support::is_aborted(error));
    BOOST_TEST(numbers.try_get().value() == 7);
}

BOOST_AUTO_TEST_CASE(one_that_is_cancelled_at_once_has_taken_nothing) {
    mp::Queue<int> numbers{4};
    numbers.put(7);
    asio::io_context io;
    asio::cancellation_signal stop;
    std::exception_ptr error;
    const auto handler = [&](std::exception_ptr thrown, std::optional<int>) { error = thrown; };
    mp::async_get(numbers,
                  asio::bind_cancellation_slot(stop.slot(), asio::bind_executor(io, handler)));
    stop.emit(asio::cancellation_type::partial);
    io.run();
    BOOST_TEST(support::is_aborted(error));
    BOOST_TEST(numbers.size() == 1u);
}

BOOST_AUTO_TEST_CASE(nothing_is_lost_between_a_timer_and_a_queue) {
    constexpr int items = 3000;
    mp::Queue<int> numbers{8};
    mp::Queue<int> go{1};
    mp::Process producer{[&] {
        static_cast<void>(go.get());
        for (int i = 0; i < items; ++i) {
            numbers.put(i);
            if (i % 16 == 0)
                ::usleep(300);
        }
        numbers.close();
    }};
    producer.start();
    asio::io_context io;
    std::vector<int> got;
    int timeouts = 0;
    const auto take = [&go](mp::Queue<int> queue, std::vector<int>& into, int& times) -> Coroutine {
        asio::steady_timer timer(co_await asio::this_coro::executor);
        while (true) {
            timer.expires_after(
                std::chrono::microseconds((into.size() + static_cast<std::size_t>(times)) % 200));
            const auto next =
                co_await (mp::async_get(queue) || timer.async_wait(asio::use_awaitable));
            if (next.index() == 1) {
                if (++times == 1)
                    go.put(1); // one timeout is certain, the others come as they may
            } else if (const auto& item = std::get<0>(next))
                into.push_back(*item);
            else
                break;
        }
    };
    support::run(io, take(numbers, got, timeouts));
    BOOST_TEST(got == numbers_up_to(items), boost::test_tools::per_element());
    BOOST_TEST(timeouts > 0);
    support::expect_exit(producer);
}

BOOST_AUTO_TEST_CASE(timers_go_on_meanwhile) {
    mp::Queue<int> numbers{4};
    asio::io_context io;
    int ticks = 0;
    std::vector<int> got;
    asio::co_spawn(io, take_all(numbers, got), asio::detached);
    const auto tick = [](mp::Queue<int> queue, int& count) -> Coroutine {
        for (; count < 20; ++count)
            co_await support::pause(1ms);
        queue.put(5);
        queue.close();
    };
    support::run(io, tick(numbers, ticks));
    BOOST_TEST(ticks == 20);
    BOOST_TEST((got == std::vector<int>{5}));
}

BOOST_AUTO_TEST_CASE(an_io_context_may_end_before_the_operation_does) {
    mp::Queue<int> numbers{4};
    std::vector<int> got;
    {
        asio::io_context io;
        asio::co_spawn(io, take_all(numbers, got), asio::detached);
        io.run_for(20ms);
    }
    numbers.put(1);
    BOOST_TEST(numbers.get() == 1);
    BOOST_TEST(got.empty());
}

BOOST_AUTO_TEST_CASE(what_reading_throws_comes_back) {
    mp::Queue<Unreadable> queue{4};
    queue.put({"text"});
    asio::io_context io;
    const auto take = [](mp::Queue<Unreadable> from) -> Coroutine {
        static_cast<void>(co_await mp::async_get(from));
    };
    BOOST_CHECK_THROW(support::run(io, take(queue)), std::length_error);
}

BOOST_AUTO_TEST_CASE(messages_of_a_connection_are_received_to_its_end) {
    auto [mine, other] = mp::Pipe<std::string>();
    auto& here = mine;
    auto& there = other;
    mp::Process sender{[&] {
        here.close();
        for (int i = 0; i < 100; ++i)
            there.send("message " + std::to_string(i));
    }};
    sender.start();
    there.close();
    asio::io_context io;
    int got = 0;
    const auto take = [](mp::Connection<std::string>& from, int& count) -> Coroutine {
        while (const auto message = co_await mp::async_recv(from)) {
            BOOST_TEST(*message == "message " + std::to_string(count));
            ++count;
        }
    };
    support::run(io, take(here, got));
    BOOST_TEST(got == 100);
    support::expect_exit(sender);
}

BOOST_AUTO_TEST_CASE(waiting_takes_nothing) {
    mp::Queue<int> numbers{4};
    mp::Process producer{put_numbers, numbers, 3, 4};
    producer.start();
    asio::io_context io;
    const auto wait_first = [](mp::Queue<int> queue) -> Coroutine {
        co_await mp::async_wait(queue);
        BOOST_TEST(queue.size() == 1u);
        const auto got = co_await mp::async_get(queue);
        BOOST_TEST(got.value() == 3);
    };
    support::run(io, wait_first(numbers));
    support::expect_exit(producer);
}

BOOST_AUTO_TEST_SUITE_END()
