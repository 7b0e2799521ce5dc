#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

/// \file
/// The few words of Python's asyncio that the demos need, with the coroutines of Boost.Asio.

namespace demo {

/// `async def f() -> T`
template <class T>
using Coroutine = boost::asio::awaitable<T>;

/// `asyncio.run(coroutine)`: in the calling thread, alone.
template <class T>
T run_async(Coroutine<T> coroutine) {
    boost::asio::io_context io{1};
    auto result = boost::asio::co_spawn(io, std::move(coroutine), boost::asio::use_future);
    io.run();
    return result.get();
}

/// `await asyncio.sleep(...)`
inline Coroutine<void> async_sleep(std::chrono::nanoseconds time) {
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, time);
    co_await timer.async_wait(boost::asio::use_awaitable);
}

/// `await asyncio.gather(*coroutines)`: all at the same time, the results in the order of the
/// coroutines. \throws what the first one that failed threw, when all are done
template <class T>
Coroutine<std::vector<T>> gather(std::vector<Coroutine<T>> coroutines) {
    const auto executor = co_await boost::asio::this_coro::executor;
    // Never goes off: who is done last cancels it.
    boost::asio::steady_timer all_done(executor, boost::asio::steady_timer::time_point::max());
    std::vector<std::optional<T>> results(coroutines.size());
    std::exception_ptr failure;
    std::size_t left = coroutines.size();
    for (std::size_t i = 0; i < coroutines.size(); ++i)
        boost::asio::co_spawn(executor, std::move(coroutines[i]),
                              [&, i](std::exception_ptr error, T result) {
                                  if (error && !failure)
                                      failure = error;
                                  if (!error)
                                      results[i] = std::move(result);
                                  if (--left == 0)
                                      all_done.cancel();
                              });
    while (left > 0) { // one thread: nothing can happen between this and the wait
        boost::system::error_code cancelled;
        co_await all_done.async_wait(
            boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
    }
    if (failure)
        std::rethrow_exception(failure);
    std::vector<T> values;
    values.reserve(results.size());
    for (std::optional<T>& result : results)
        values.push_back(std::move(*result));
    co_return values;
}

} // namespace demo
