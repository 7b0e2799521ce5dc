#pragma once

#include <multifork/asio/await_ready.hpp>
#include <multifork/asio/event_bell.hpp>
#include <multifork/asio/watched.hpp>
#include <multifork/channel/connection.hpp>
#include <multifork/channel/queue.hpp>
#include <multifork/pool/future.hpp>

#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <concepts>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace multifork {

namespace detail {

template <class T>
class QueueSource {
public:
    using Result = std::optional<T>;

    explicit QueueSource(Queue<T> queue) : queue_(std::move(queue)) {}

    [[nodiscard]] std::optional<Result> take() {
        const bool closed = queue_.closed(); // before: what is not there then will never be
        Result item = queue_.try_get();
        if (!item && !closed)
            return std::nullopt;
        return std::optional<Result>(std::in_place, std::move(item));
    }
    void watch(DescriptorSet& into) { watched_.begin(Waitable(queue_), into); }
    void rearm() { watched_.rearm(); }

private:
    Queue<T> queue_;
    Watched watched_;
};

template <class T>
class ConnectionSource {
public:
    using Result = std::optional<T>;

    explicit ConnectionSource(Connection<T>& connection) : connection_(&connection) {}

    [[nodiscard]] std::optional<Result> take() {
        // Never recv() after poll(): of a message through a socket a part may be there, and of one
        // in a pipe another process may have the better of this one.
        Result message = connection_->try_recv();
        if (!message && !connection_->ended())
            return std::nullopt;
        return std::optional<Result>(std::in_place, std::move(message));
    }
    void watch(DescriptorSet& into) { watched_.begin(*connection_, into); }
    void rearm() { watched_.rearm(); }

private:
    Connection<T>* connection_;
    Watched watched_;
};

/// Where the thread that makes a future ready says so. For other threads the future is not ready as
/// long as callbacks run, so what came of it is noted here.
struct FutureArrival {
    const ::pid_t made_by = ::getpid();
    EventBell bell;
    std::exception_ptr error;
    std::atomic<bool> rung{false};
};

template <class T, bool Take>
class ReadyFuture {
public:
    using Result = std::conditional_t<Take && !std::is_void_v<T>, Stored<T>, std::monostate>;

    explicit ReadyFuture(Future<T> future) : future_(std::move(future)) {}
    ReadyFuture(ReadyFuture&&) noexcept = default;
    ReadyFuture& operator=(ReadyFuture&&) = delete;
    ~ReadyFuture() {
        // Who waits for a future again and again must not leave something in it each time.
        // (Not in a forked child, which may find the future locked for ever.)
        if (arrival_ != nullptr && arrival_->made_by == ::getpid())
            future_.shared_state()->drop_callbacks(arrival_.get());
    }

    [[nodiscard]] std::optional<Result> take() {
        // acquire: pairs with the release below; `error` is there
        if (arrival_ != nullptr && arrival_->rung.load(std::memory_order_acquire)) {
            if (arrival_->error != nullptr && Take)
                std::rethrow_exception(arrival_->error);
        } else if (!future_.ready()) {
            return std::nullopt;
        } else if constexpr (Take) {
            static_cast<void>(future_.get());
        }
        if constexpr (std::same_as<Result, std::monostate>)
            return std::monostate{};
        else if constexpr (std::copy_constructible<T>)
            return std::optional<Result>(std::in_place, future_.shared_state()->value());
        else
            return std::optional<Result>(std::in_place, std::move(future_.shared_state()->value()));
    }
    void watch(DescriptorSet& into) {
        auto made = std::make_shared<FutureArrival>();
        into.add(made->bell.descriptor());
        // Weak: what is being called cannot be dropped any more.
        const auto ring = [weak = std::weak_ptr(made)](const Future<T>& done) {
            const auto arrival = weak.lock();
            if (arrival == nullptr)
                return;
            try {
                arrival->error = done.exception();
            } catch (...) { // it was cancelled
                arrival->error = std::current_exception();
            }
            // release: pairs with the acquire above
            arrival->rung.store(true, std::memory_order_release);
            arrival->bell.ring();
        };
        future_.add_done_callback_of(made.get(), ring);
        arrival_ = std::move(made);
    }
    void rearm() noexcept {} // it rings once

private:
    Future<T> future_;
    std::shared_ptr<FutureArrival> arrival_;
};

} // namespace detail

/// Takes the oldest element of a queue, when there is one, without a thread that waits.
///
/// \code
///   boost::asio::awaitable<void> print_all(mp::Queue<std::string> lines) {
///       while (auto line = co_await mp::async_get(lines)) fmt::print("{}\n", *line);
///   }
/// \endcode
///
/// The operation waits for a Readiness of the queue, which is made only if there is nothing to take
/// at once. The queue may be filled by any process; a producer that is killed takes nothing with it
/// that it had put.
///
/// \param token  any completion token for void(std::exception_ptr, std::optional<T>) whose handler
/// belongs to an io_context
/// \return nothing when the queue is closed and drained
/// \throws boost::system::system_error (operation_aborted) when it was cancelled, by a cancellation
/// slot or `||`: then it has taken nothing
template <class T, class Token = boost::asio::use_awaitable_t<>>
auto async_get(const Queue<T>& queue, Token&& token = {}) {
    return detail::await_ready(detail::QueueSource<T>(queue), std::forward<Token>(token));
}

/// The result of a future, of a Pool or any other, when it is there. For a T that cannot be default
/// constructed use async_wait() and get().
///
/// \param token  for void(std::exception_ptr, T), or void(std::exception_ptr)
/// \throws what the task threw; WorkerDied, Cancelled; operation_aborted when the wait was
/// cancelled: the task goes on, and the future keeps its result
template <class T, class Token = boost::asio::use_awaitable_t<>>
auto async_get(const Future<T>& future, Token&& token = {}) {
    static_assert(std::is_void_v<T> || std::default_initializable<detail::Stored<T>>,
                  "Asio wants a value beside an exception: use async_wait(), then get()");
    return detail::await_ready(detail::ReadyFuture<T, true>(future), std::forward<Token>(token));
}

/// \internal What the members async_get() call.
/// @{
template <class T, class Token>
auto async_get_of(const Queue<T>& queue, Token&& token) {
    return multifork::async_get(queue, std::forward<Token>(token));
}
template <class T, class Token>
auto async_get_of(const Future<T>& future, Token&& token) {
    return multifork::async_get(future, std::forward<Token>(token));
}
/// @}

/// Receives a message from the other end of a connection, which must live until it is done.
///
/// \param token  for void(std::exception_ptr, std::optional<T>)
/// \return nothing at the end of the stream
/// \throws as Connection::recv(), ConnectionClosed too when it is closed meanwhile;
/// operation_aborted when it was cancelled: it has received nothing
template <class T, class Token = boost::asio::use_awaitable_t<>>
auto async_recv(Connection<T>& connection, Token&& token = {}) {
    return detail::await_ready(detail::ConnectionSource<T>(connection), std::forward<Token>(token));
}

/// Waits until a future is ready. \param token  for void(std::exception_ptr)
template <class T, class Token = boost::asio::use_awaitable_t<>>
auto async_wait(const Future<T>& future, Token&& token = {}) {
    return detail::await_ready(detail::ReadyFuture<T, false>(future), std::forward<Token>(token));
}

} // namespace multifork
