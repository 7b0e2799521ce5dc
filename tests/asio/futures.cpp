#include "asio/support.hpp"

#include <multifork/channel/queue.hpp>
#include <multifork/pool/pool.hpp>
#include <multifork/process/process.hpp>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>

#include <csignal>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <malloc.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;
namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace asio::experimental::awaitable_operators;
using Coroutine = asio::awaitable<void>;

namespace {

int square(int x) {
    return x * x;
}

} // namespace

BOOST_AUTO_TEST_SUITE(futures)

BOOST_AUTO_TEST_CASE(results_of_a_pool_come_to_many_coroutines) {
    constexpr int tasks = 300;
    mp::Pool pool{2};
    asio::io_context io;
    long sum = 0;
    const auto add = [](mp::Future<int> future, long& into) -> Coroutine {
        const int result = co_await future.async_get(asio::use_awaitable);
        into += result;
    };
    long expected = 0;
    for (int i = 0; i < tasks; ++i) {
        asio::co_spawn(io, add(pool.submit(square, i), sum), asio::detached);
        expected += static_cast<long>(i) * i;
    }
    io.run();
    BOOST_TEST(sum == expected);
}

BOOST_AUTO_TEST_CASE(what_a_task_throws_and_how_its_worker_died_comes_back) {
    mp::Pool pool{1};
    asio::io_context io;
    const auto ask = [](mp::Pool& on) -> Coroutine {
        auto throws = on.submit([]() -> int { throw std::out_of_range("far"); });
        BOOST_CHECK_THROW(static_cast<void>(co_await mp::async_get(throws)), std::out_of_range);
        auto dies = on.submit([] { ::kill(::getpid(), SIGKILL); });
        int signal = 0;
        try {
            co_await mp::async_get(dies);
        } catch (const mp::WorkerDied& error) {
            signal = error.signal();
        }
        BOOST_TEST(signal == SIGKILL);
        auto ready = on.submit(square, 7);
        co_await mp::async_wait(ready);
        const int result = co_await mp::async_get(ready);
        BOOST_TEST(result == 49);
    };
    support::run(io, ask(pool));
}

BOOST_AUTO_TEST_CASE(a_cancelled_future_says_so) {
    mp::Promise<int> promise;
    asio::io_context io;
    const auto cancel = [](mp::Future<int> one) -> Coroutine {
        co_await support::pause(20ms);
        BOOST_TEST(one.cancel());
    };
    asio::co_spawn(io, cancel(promise.get_future()), asio::detached);
    const auto take = [](mp::Future<int> one) -> Coroutine {
        static_cast<void>(co_await mp::async_get(one));
    };
    BOOST_CHECK_THROW(support::run(io, take(promise.get_future())), mp::Cancelled);
}

BOOST_AUTO_TEST_CASE(a_wait_that_is_cancelled_leaves_the_result) {
    mp::Pool pool{1};
    mp::Queue<int> go{1};
    auto future = pool.submit([](mp::Queue<int> from) { return from.get(); }, go);
    asio::io_context io;
    const auto ask = [](mp::Future<int> slow, mp::Queue<int> to) -> Coroutine {
        const auto first = co_await (mp::async_get(slow) || support::pause(20ms));
        BOOST_TEST(first.index() == 1u);
        to.put(42);
        const int result = co_await mp::async_get(slow);
        BOOST_TEST(result == 42);
    };
    support::run(io, ask(future, go));
}

// AddressSanitizer has a heap of its own, of which mallinfo2() knows nothing; so has
// ThreadSanitizer.
BOOST_AUTO_TEST_CASE(waits_that_are_cancelled_leave_nothing_in_the_future,
                     *boost::unit_test::label("no_asan") * boost::unit_test::label("no_tsan")) {
    constexpr int waits = 10000;
    const mp::Promise<int> promise;
    asio::io_context io;
    const auto wait_in_vain = [](mp::Future<int> never, int times) -> Coroutine {
        for (int i = 0; i < times; ++i) {
            const auto next = co_await (mp::async_wait(never) || asio::post(asio::use_awaitable));
            BOOST_TEST_REQUIRE(next.index() == 1u);
        }
    };
    const auto in_use = [] { return ::mallinfo2().uordblks; };
    support::run(io, wait_in_vain(promise.get_future(), 100)); // what is made once
    const std::size_t before = in_use();
    io.restart();
    support::run(io, wait_in_vain(promise.get_future(), waits));
    // A callback and what it holds would take a hundred bytes each time.
    BOOST_TEST(in_use() < before + waits * 10);
}

BOOST_AUTO_TEST_CASE(an_io_context_may_end_before_the_future_is_ready) {
    mp::Promise<std::string> promise;
    {
        asio::io_context io;
        const auto take = [](mp::Future<std::string> future) -> Coroutine {
            static_cast<void>(co_await mp::async_get(future));
        };
        asio::co_spawn(io, take(promise.get_future()), asio::detached);
        io.poll();
    }
    promise.set_value("late");
    BOOST_TEST(promise.get_future().get() == "late");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_copied_is_moved_out) {
    mp::Promise<std::unique_ptr<int>> promise;
    asio::io_context io;
    std::jthread setter([&] {
        std::this_thread::sleep_for(20ms);
        promise.set_value(std::make_unique<int>(5));
    });
    const auto take = [](mp::Future<std::unique_ptr<int>> future) -> Coroutine {
        const auto got = co_await mp::async_get(future);
        BOOST_TEST(*got == 5);
    };
    support::run(io, take(promise.get_future()));
}

BOOST_AUTO_TEST_CASE(a_slow_callback_of_a_future_holds_nobody_up) {
    mp::Promise<int> promise;
    const mp::Future<int> future = promise.get_future();
    asio::io_context io;
    mp::Promise<void> go;
    // Called after that of the operation: until then the future is not ready for other threads.
    const auto take = [](mp::Future<int> one, mp::Promise<void> done) -> Coroutine {
        const int result = co_await mp::async_get(one);
        BOOST_TEST(result == 5);
        done.set_value();
    };
    asio::co_spawn(io, take(future, go), asio::detached);
    io.poll();
    future.add_done_callback([&](const mp::Future<int>&) { go.get_future().wait(); });
    std::jthread setter([&] { promise.set_value(5); });
    io.restart();
    io.run();
}

// The bell is rung in the parent, and heard in both.
BOOST_AUTO_TEST_CASE(a_forked_child_is_told_that_its_parent_goes_on_waiting) {
    mp::Promise<int> promise;
    asio::io_context io;
    std::exception_ptr error;
    bool ended = false;
    const auto wait_for = [](mp::Future<int> one) -> Coroutine { co_await mp::async_wait(one); };
    asio::co_spawn(io, wait_for(promise.get_future()), [&](std::exception_ptr thrown) {
        error = thrown;
        ended = true;
    });
    io.poll();
    io.notify_fork(asio::io_context::fork_prepare);
    mp::Process child{[&] {
        io.notify_fork(asio::io_context::fork_child);
        io.restart();
        io.run();
        try {
            if (error != nullptr)
                std::rethrow_exception(error);
        } catch (const mp::Error&) {
            return;
        }
        ::_exit(1);
    }};
    child.start();
    io.notify_fork(asio::io_context::fork_parent);
    BOOST_TEST(!ended);
    promise.set_value(1);
    io.restart();
    io.run();
    BOOST_TEST(ended);
    BOOST_TEST((error == nullptr));
    child.join();
    BOOST_TEST(child.exitcode().value() == 0);
}

BOOST_AUTO_TEST_CASE(processes_are_joined_with_their_exit_codes) {
    asio::io_context io;
    std::vector<mp::Process> children;
    for (int i = 0; i < 10; ++i)
        children.emplace_back([i] {
            if (i == 9)
                ::kill(::getpid(), SIGKILL);
            ::_exit(i);
        });
    for (auto& child : children)
        child.start();
    std::vector<int> codes(20);
    const auto join = [](mp::Process& child, int& code) -> Coroutine {
        code = co_await mp::async_join(child);
    };
    for (std::size_t i = 0; i < 20; ++i) // two may wait for the same
        asio::co_spawn(io, join(children[i % 10], codes[i]),
                       [](std::exception_ptr error) { BOOST_TEST((error == nullptr)); });
    io.run();
    for (std::size_t i = 0; i < 20; ++i)
        BOOST_TEST(codes[i] == (i % 10 == 9 ? -SIGKILL : static_cast<int>(i % 10)));
}

BOOST_AUTO_TEST_CASE(a_process_object_may_go_while_its_end_is_awaited) {
    mp::Queue<int> go{1};
    auto child = std::make_unique<mp::Process>([go]() mutable { static_cast<void>(go.get()); });
    child->start();
    asio::io_context io;
    bool ended = false;
    const auto wait_for = [&](const mp::Process& one) -> Coroutine {
        co_await mp::async_wait(one);
        ended = true;
    };
    std::exception_ptr error;
    asio::co_spawn(io, wait_for(*child), [&](std::exception_ptr thrown) { error = thrown; });
    io.poll();
    BOOST_TEST(!ended);
    go.put(1);
    child.reset(); // joins it
    io.restart();
    io.run();
    BOOST_TEST((error == nullptr));
    BOOST_TEST(ended);
}

BOOST_AUTO_TEST_CASE(a_join_before_start_is_refused) {
    asio::io_context io;
    mp::Process child{[] {}};
    const auto join = [](mp::Process& one) -> Coroutine {
        static_cast<void>(co_await mp::async_join(one));
    };
    BOOST_CHECK_THROW(support::run(io, join(child)), mp::ProcessError);
}

BOOST_AUTO_TEST_SUITE_END()
