#pragma once

#include <multifork/asio/await_ready.hpp>
#include <multifork/asio/watched.hpp>
#include <multifork/channel/connection.hpp>
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
    void watch(DescriptorSet& into) { watched_.begin(Waitable(process_), into); }
    void rearm() { watched_.rearm(); }

private:
    ProcessHandle process_;
    Watched watched_;
};

/// \tparam Held  what becomes a Waitable, and keeps what that means
template <class Held>
class ReadySource {
public:
    using Result = std::monostate;

    explicit ReadySource(Held what) : what_(std::move(what)) {}

    [[nodiscard]] std::optional<std::monostate> take() {
        if (wait({what_}, std::chrono::nanoseconds(0)).empty())
            return std::nullopt;
        return std::monostate{};
    }
    void watch(DescriptorSet& into) { watched_.begin(what_, into); }
    void rearm() { watched_.rearm(); }

private:
    Held what_;
    Watched watched_;
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
/// A listener and a descriptor must stay open until it is done; of all else the operation holds a
/// handle of its own. A connection that is closed ends it with ConnectionClosed.
///
/// \param token  for void(std::exception_ptr)
/// @{
template <class Token = boost::asio::use_awaitable_t<>>
auto async_wait(const Waitable& what, Token&& token = {}) {
    return detail::await_ready(detail::ReadySource<Waitable>(what), std::forward<Token>(token));
}
template <class Token = boost::asio::use_awaitable_t<>>
auto async_wait(const AnyConnection& connection, Token&& token = {}) {
    return detail::await_ready(detail::ReadySource<AnyConnection>(connection),
                               std::forward<Token>(token));
}
template <class Token = boost::asio::use_awaitable_t<>>
auto async_wait(const ProcessHandle& process, Token&& token = {}) {
    return detail::await_ready(detail::ReadySource<ProcessHandle>(process),
                               std::forward<Token>(token));
}
/// @}

} // namespace multifork
