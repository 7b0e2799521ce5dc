#pragma once

#include <multifork/asio.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <exception>
#include <utility>

namespace multifork::test {

namespace asio = boost::asio;

/// Runs a coroutine to its end, and throws what it threw.
inline void run(asio::io_context& io, asio::awaitable<void> coroutine) {
    std::exception_ptr error;
    bool ended = false;
    asio::co_spawn(io, std::move(coroutine), [&](std::exception_ptr thrown) {
        error = thrown;
        ended = true;
    });
    io.run();
    BOOST_REQUIRE(ended);
    if (error != nullptr)
        std::rethrow_exception(error);
}

inline asio::awaitable<void> pause(std::chrono::milliseconds time) {
    asio::steady_timer timer(co_await asio::this_coro::executor, time);
    co_await timer.async_wait(asio::use_awaitable);
}

/// Whether this is how an operation says that it was cancelled.
inline bool is_aborted(std::exception_ptr error) {
    if (error == nullptr)
        return false;
    try {
        std::rethrow_exception(error);
    } catch (const boost::system::system_error& thrown) {
        return thrown.code() == asio::error::operation_aborted;
    } catch (...) {
        return false;
    }
}

} // namespace multifork::test
