#include <multifork/pool/thread_pool.hpp>

#include "pool/thread_work.hpp"
#include "support/errors.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <latch>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace mp = multifork;
namespace support = multifork::test;

using support::Gate;
using support::numbers;
using support::square;

BOOST_AUTO_TEST_SUITE(thread_pool)

BOOST_AUTO_TEST_CASE(a_task_gets_what_it_was_given_by_value_and_by_reference) {
    mp::ThreadPool pool{2};
    BOOST_TEST(pool.apply(square, 12) == 144);
    std::string text = "a";
    pool.apply([](std::string& t, const std::string& more) { t += more; }, std::ref(text), "bc");
    BOOST_TEST(text == "abc");
    auto moved = pool.submit([](std::unique_ptr<int> p) { return p; }, std::make_unique<int>(7));
    BOOST_TEST(*std::move(moved).get() == 7);
    int captured = 0;
    pool.apply_async([&captured] { captured = 5; }).get();
    BOOST_TEST(captured == 5);
    const std::string word = "long";
    BOOST_TEST(pool.apply(&std::string::size, word) == 4u);
}

BOOST_AUTO_TEST_CASE(map_keeps_the_order_for_every_chunk_size) {
    mp::ThreadPool pool{4};
    const std::vector<int> in = numbers(1000);
    std::vector<int> expected = in;
    std::transform(in.begin(), in.end(), expected.begin(), square);
    BOOST_TEST((pool.map(square, in) == expected));
    for (const int chunk : {1, 3, 250, 1000, 5000})
        BOOST_TEST((pool.map(square, in, {.chunk_size = chunk}) == expected), "chunk " << chunk);
    BOOST_TEST(pool.map(square, std::vector<int>{}).empty());
    BOOST_TEST((pool.map(square, in | std::views::filter([](int x) { return x < 4; })) ==
                std::vector<int>{0, 1, 4, 9}));
    for (const int chunk : {0, -1})
        support::expect_error<mp::InvalidArgument>(
            [&] { pool.map(square, in, {.chunk_size = chunk}); }, {"at least 1"});
}

BOOST_AUTO_TEST_CASE(map_takes_and_gives_what_is_not_plain) {
    mp::ThreadPool pool{3};
    const std::vector<std::string> words{"a", "bb", "ccc"};
    BOOST_TEST((pool.map([](const std::string& w) { return w + w; }, words) ==
                std::vector<std::string>{"aa", "bbbb", "cccccc"}));
    BOOST_TEST((pool.map([](int x) { return x % 2 == 0; }, numbers(100), {.chunk_size = 1})[98]));
    BOOST_TEST((pool.map([](bool b) { return !b; }, std::vector<bool>{true, false}) ==
                std::vector<bool>{false, true}));
    std::vector<std::unique_ptr<int>> owned;
    for (int i = 0; i < 20; ++i)
        owned.push_back(std::make_unique<int>(i));
    const auto back = pool.map([](std::unique_ptr<int> p) { return p; }, std::move(owned));
    for (int i = 0; i < 20; ++i)
        BOOST_TEST(*back[static_cast<std::size_t>(i)] == i);
    std::atomic<int> sum = 0;
    pool.map([&sum](int x) { sum += x; }, numbers(101));
    BOOST_TEST(sum.load() == 5050);
    using Pair = std::pair<int, std::string>;
    BOOST_TEST((pool.starmap([](int n, const std::string& s) { return s + std::to_string(n); },
                             std::vector<Pair>{{1, "x"}, {2, "y"}}) ==
                std::vector<std::string>{"x1", "y2"}));
}

BOOST_AUTO_TEST_CASE(a_function_that_changes_itself_is_copied_for_each_chunk) {
    mp::ThreadPool pool{4};
    const auto counts =
        pool.map([n = 0](int) mutable { return ++n; }, numbers(100), {.chunk_size = 10});
    for (std::size_t i = 0; i < counts.size(); ++i)
        BOOST_TEST(counts[i] == static_cast<int>(i % 10) + 1);
}

BOOST_AUTO_TEST_CASE(the_first_item_that_failed_says_why) {
    mp::ThreadPool pool{4};
    std::atomic<int> run = 0;
    const auto f = [&run](int x) {
        ++run;
        if (x == 30 || x == 70)
            throw std::out_of_range(std::to_string(x));
        return x;
    };
    for (const int chunk : {1, 7, 100}) {
        run = 0;
        support::expect_error<std::out_of_range>(
            [&] { pool.map(f, numbers(100), {.chunk_size = chunk}); }, {"30"});
        if (chunk == 1)
            BOOST_TEST(run.load() == 100); // the others are done all the same
    }
    const auto failed = pool.submit([](int) -> int { throw std::logic_error("no"); }, 1);
    BOOST_CHECK_THROW(failed.get(), std::logic_error);
    BOOST_TEST(!mp::remote_cause(failed.exception()).has_value());
    support::expect_error<std::domain_error>(
        [&] {
            pool.map(square, std::views::iota(0, 9) | std::views::transform([](int i) {
                                 return i < 5 ? i : throw std::domain_error("halfway");
                             }));
        },
        {"halfway"});
    BOOST_TEST(pool.apply(square, 3) == 9);
}

BOOST_AUTO_TEST_CASE(imap_takes_from_an_endless_input_as_it_is_read) {
    mp::ThreadPool pool{2};
    std::atomic<int> taken = 0;
    auto input = std::views::iota(0) | std::views::transform([&taken](int i) {
                     ++taken;
                     return i;
                 });
    auto results = pool.imap(square, input, {.look_ahead = 3});
    for (int i = 0; i < 10; ++i)
        BOOST_TEST(results.next().value() == i * i);
    BOOST_TEST(taken.load() <= 13);
    std::vector<int> got;
    for (const int result : pool.imap_unordered(square, numbers(50), {.chunk_size = 4}))
        got.push_back(result);
    std::sort(got.begin(), got.end());
    BOOST_TEST((got == pool.map(square, numbers(50))));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_copied_is_moved) {
    mp::ThreadPool pool{2};
    const auto made = std::views::iota(0, 5) |
                      std::views::transform([](int i) { return std::make_unique<int>(i); });
    const auto owned = [&] {
        std::vector<std::unique_ptr<int>> all;
        for (auto&& each : made)
            all.push_back(std::move(each));
        return all;
    };
    // A callable likewise.
    const auto add = [] {
        return [one = std::make_unique<int>(1)](std::unique_ptr<int> p) { return *p + *one; };
    };
    const std::vector<int> expected{1, 2, 3, 4, 5};
    BOOST_TEST((pool.map(add(), made) == expected));
    BOOST_TEST((pool.map(add(), owned()) == expected));
    const auto all_of = [](auto results) {
        std::vector<int> all;
        while (const auto result = results.next())
            all.push_back(*result);
        return all;
    };
    BOOST_TEST((all_of(pool.imap(add(), made, {.chunk_size = 2})) == expected));
    BOOST_TEST((all_of(pool.imap(add(), owned())) == expected));
    auto any = all_of(pool.imap_unordered(add(), made));
    std::sort(any.begin(), any.end());
    BOOST_TEST((any == expected));
}

BOOST_AUTO_TEST_CASE(imap_copies_neither_callable_nor_items_for_each_chunk) {
    struct Counted {
        std::atomic<int>* copies;
        explicit Counted(std::atomic<int>& to) : copies(&to) {}
        Counted(const Counted& other) : copies(other.copies) { ++*copies; }
        Counted(Counted&&) = default;
        Counted& operator=(const Counted&) = delete;
        Counted& operator=(Counted&&) = delete;
    };
    mp::ThreadPool pool{1};
    std::atomic<int> callables = 0, items = 0;
    auto input =
        std::views::iota(0, 20) | std::views::transform([&](int) { return Counted(items); });
    auto results =
        pool.imap([own = Counted(callables)](const Counted&) { return own.copies != nullptr; },
                  input, {.chunk_size = 2});
    while (results.next()) {
    }
    BOOST_TEST(callables.load() == 0);
    BOOST_TEST(items.load() == 0);
}

BOOST_AUTO_TEST_CASE(a_result_need_not_be_assignable) {
    struct Constant {
        const int n;
    };
    mp::ThreadPool pool{1};
    int sum = 0;
    for (const Constant& each : pool.imap([](int n) { return Constant{n}; }, numbers(4)))
        sum += each.n;
    BOOST_TEST(sum == 6);
}

BOOST_AUTO_TEST_CASE(progress_is_told_in_order) {
    mp::ThreadPool pool{4};
    std::vector<std::size_t> seen;
    const auto progress = [&seen](std::size_t done, std::size_t all) {
        if (all == 100)
            seen.push_back(done);
    };
    pool.map(square, numbers(100), {.chunk_size = 7, .progress = progress});
    BOOST_TEST(seen.size() == 15u);
    BOOST_TEST(std::is_sorted(seen.begin(), seen.end()));
    BOOST_TEST(seen.back() == 100u);
}

BOOST_AUTO_TEST_CASE(what_has_not_begun_can_be_cancelled) {
    mp::ThreadPool pool{1};
    Gate gate;
    std::latch begun(1);
    auto running = pool.submit([&] {
        begun.count_down();
        gate.pass();
    });
    auto waiting = pool.submit(square, 2);
    begun.wait();
    BOOST_TEST(running.running());
    BOOST_TEST(!running.cancel());
    BOOST_TEST(waiting.cancel());
    BOOST_TEST(waiting.cancelled());
    gate.open();
    running.get();
    BOOST_CHECK_THROW(static_cast<void>(waiting.get()), mp::Cancelled);
    BOOST_TEST(pool.apply(square, 3) == 9);
}

BOOST_AUTO_TEST_CASE(tasks_may_make_tasks) {
    mp::ThreadPool pool{2};
    std::atomic<int> count = 0;
    mp::Promise<void> all;
    std::function<void(int)> split = [&](int n) {
        if (n > 0)
            for (int i = 0; i < 2; ++i)
                static_cast<void>(pool.submit(split, n - 1));
        if (++count == 255)
            all.set_value();
    };
    static_cast<void>(pool.submit(split, 7));
    all.get_future().get();
    BOOST_TEST(count.load() == 255);
}

BOOST_AUTO_TEST_SUITE_END()
