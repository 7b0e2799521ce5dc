#pragma once

#include <multifork/asio/async_get.hpp>
#include <multifork/asio/await_ready.hpp>
#include <multifork/channel/waitable.hpp>
#include <multifork/process/process.hpp>

#include <chrono>
#include <optional>
#include <utility>
#include <variant>

namespace multifork {

namespace detail {

class ProcessSource {
public:
    using Result = int;

    explicit ProcessSource(ProcessHandle process) : process_(std::move(process)) {}

    [[nodiscard]] std::optional<int> take() {
        if (!process_.try_join_for(std::chrono::nanoseconds(0)))
            return std::nullopt;
        return process_.exitcode().value_or(255);
    }
    [[nodiscard]] int descriptor() { return watched_.watch(process_); }

private:
    ProcessHandle process_;
    WatchedSource watched_;
};

class WaitableSource {
public:
    using Result = std::monostate;

    explicit WaitableSource(Waitable what) : what_(std::move(what)) {}

    [[nodiscard]] std::optional<std::monostate> take() {
        if (wait({what_}, std::chrono::nanoseconds(0)).empty())
            return std::nullopt;
        return std::monostate{};
    }
    [[nodiscard]] int descriptor() { return watched_.watch(what_); }

private:
    Waitable what_;
    WatchedSource watched_;
};

} // namespace detail

/// Waits until a process has ended. \return its exit code, as ProcessHandle::exitcode() says it
///
/// \param token  for void(std::exception_ptr, int)
/// \throws ProcessError before start(); operation_aborted when the wait was cancelled
template <class Token = boost::asio::use_awaitable_t<>>
auto async_join(const ProcessHandle& process, Token&& token = {}) {
    return detail::await_ready(detail::ProcessSource(process), std::forward<Token>(token));
}

/// Waits until something is ready, and takes nothing: a queue, a connection, a listener, a process,
/// a descriptor. Somebody else may take it first: use the try forms afterwards.
///
/// \param token  for void(std::exception_ptr)
template <class Token = boost::asio::use_awaitable_t<>>
auto async_wait(const Waitable& what, Token&& token = {}) {
    return detail::await_ready(detail::WaitableSource(what), std::forward<Token>(token));
}

} // namespace multifork
