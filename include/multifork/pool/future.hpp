#pragma once

#include <multifork/format.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/platform/export.hpp>
#include <multifork/pool/error.hpp>

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace multifork {

/// pending -> running -> finished, or pending -> cancelled.
enum class FutureStatus : std::uint8_t { pending, running, cancelled, finished };

template <class T>
class Future;

namespace detail {

/// Where the result of a future comes from, as far as the future asks.
class FutureSource {
public:
    virtual ~FutureSource() = default;
    /// Takes the work back. \return false when it has begun, or is done
    virtual bool withdraw() = 0;
    virtual bool has_begun() = 0;
};

/// What all copies of a future share; in the memory of its process.
class MULTIFORK_API FutureState : public std::enable_shared_from_this<FutureState> {
public:
    FutureState();
    /// The state is a part of its source, and lives as long.
    explicit FutureState(FutureSource& whole) noexcept;
    virtual ~FutureState();
    FutureState(const FutureState&) = delete;
    FutureState& operator=(const FutureState&) = delete;

    [[nodiscard]] FutureStatus status() const;
    /// \return false when the time ran out
    [[nodiscard]] bool wait_before(platform::Deadline deadline) const;
    bool cancel();
    /// \return false when it was cancelled
    bool set_running();
    void set_error(std::exception_ptr error);
    /// \param owner  for drop_callbacks()
    void add_callback(std::function<void()> callback, const void* owner = nullptr);
    /// Those of that owner which have not been called are not called any more.
    void drop_callbacks(const void* owner);
    void set_source(std::shared_ptr<FutureSource> source);
    /// Waits. \throws Cancelled
    [[nodiscard]] std::exception_ptr error() const;
    [[nodiscard]] std::string describe(const std::string& value_type) const;

protected:
    /// A result may be stored as long as this is held. \throws InvalidState when there is one
    [[nodiscard]] std::unique_lock<std::mutex> begin_result();
    /// It is stored: calls the callbacks, then wakes who waits.
    void end_result(std::unique_lock<std::mutex> lock);

private:
    /// One who waits, on its stack: most futures are never waited for.
    struct Waiter;
    struct Callback {
        std::function<void()> call;
        const void* owner;
    };

    [[nodiscard]] bool is_settled() const;
    void settle(std::unique_lock<std::mutex>& lock);

    mutable std::mutex mutex_;
    mutable Waiter* waiters_ = nullptr;
    FutureStatus status_ = FutureStatus::pending;
    /// The callbacks have been called: who waits may go. From then on nothing changes any more.
    std::atomic<bool> announced_ = false;
    std::thread::id announcer_; ///< who calls them; for it the future is ready
    std::exception_ptr error_;
    std::vector<Callback> callbacks_;
    std::shared_ptr<FutureSource> source_; ///< until there is a result; or
    FutureSource* const whole_ = nullptr;  ///< what this is a part of
};

template <class T>
using Stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <class T>
class FutureValue final : public FutureState {
public:
    using FutureState::FutureState;

    void set_value(Stored<T> value) {
        auto lock = begin_result();
        value_.emplace(std::move(value));
        end_result(std::move(lock));
    }
    [[nodiscard]] Stored<T>& value() { return *value_; }

private:
    std::optional<Stored<T>> value_;
};

[[noreturn]] MULTIFORK_API void throw_no_future();
[[noreturn]] MULTIFORK_API void throw_no_promise();
[[noreturn]] MULTIFORK_API void throw_no_exception();
/// Says on stderr what a callback threw; nobody else is there to hear it.
MULTIFORK_API void report_callback(std::exception_ptr error) noexcept;

/// What a continuation gives that is called with the T of a future, or with nothing if T is void.
template <class F, class T>
struct Continuation : std::invoke_result<F&, const T&> {};
template <class F>
struct Continuation<F, void> : std::invoke_result<F&> {};

/// Such a callable, and what its future holds: a reference becomes a value, because nobody can say
/// how long that which it means will live.
template <class F, class T>
concept ContinuationOf = requires {
    typename Continuation<F, T>::type;
};
template <class F, class T>
using ThenResult = std::decay_t<typename Continuation<F, T>::type>;

} // namespace detail

/// The result of a task, which may not be there yet.
///
/// Copies mean the same result, and get() may be called more than once (as std::shared_future): it
/// gives a reference; of a temporary it gives the value itself.
///
/// \threads   distinct and shared objects are safe
/// \processes belongs to the process that made it. A forked child must not ask its copy: that never
///            becomes ready, and if another thread was at it during the fork even ready() hangs
template <class T>
class Future {
public:
    using multifork_describable = void;
    using value_type = T;

    /// A future of nothing: valid() is false, and all else throws InvalidState.
    Future() noexcept = default;

    [[nodiscard]] bool valid() const noexcept { return state_ != nullptr; }

    /// Waits for the result. \throws what the task threw; WorkerDied, BrokenPool, Cancelled
    decltype(auto) get() const& {
        settle();
        if constexpr (!std::is_void_v<T>)
            return static_cast<const T&>(state_->value());
    }
    T get() && {
        settle();
        if constexpr (!std::is_void_v<T>) {
            if constexpr (std::copy_constructible<T>)
                if (state_.use_count() > 1) // somebody else may ask as well
                    return state_->value();
            return std::move(state_->value());
        }
    }

    void wait() const { static_cast<void>(state().wait_before(platform::Deadline::never())); }
    /// Waits at most `time`; zero or less looks once. \return whether it is ready
    template <class Rep, class Period>
    [[nodiscard]] bool wait_for(const std::chrono::duration<Rep, Period>& time) const {
        return state().wait_before(platform::Deadline::after(time));
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool wait_until(const std::chrono::time_point<Clock, Duration>& moment) const {
        return state().wait_before(platform::Deadline::at(moment));
    }
    /// Whether get() would not wait: there is a result, an exception, or it was cancelled.
    [[nodiscard]] bool ready() const { return state().wait_before(platform::Deadline::poll()); }
    [[nodiscard]] bool running() const { return state().status() == FutureStatus::running; }
    [[nodiscard]] bool cancelled() const { return state().status() == FutureStatus::cancelled; }

    /// Takes the task back if no worker has begun it. \return whether it is cancelled now
    bool cancel() {
        static_cast<void>(state());
        const auto keep = state_; // a callback may drop this future, and be the last to have one
        return keep->cancel();
    }

    /// Waits. \return what get() would throw; null if there is a value \throws Cancelled
    [[nodiscard]] std::exception_ptr exception() const { return state().error(); }

    /// get() inside Boost.Asio, without a thread that waits: see multifork/asio.hpp, which must be
    /// included. `T result = co_await future.async_get(boost::asio::use_awaitable)`
    template <class Token>
    auto async_get(Token&& token) const {
        return async_get_of(*this, std::forward<Token>(token));
    }

    /// Calls `callback(future)` when it is ready, in the thread that makes it so, before get()
    /// returns anywhere; at once if it is ready. What it throws is said on stderr.
    template <std::invocable<Future<T>> Callback>
    void add_done_callback(Callback callback) const {
        add_done_callback_of(nullptr, std::move(callback));
    }

    /// A future of what `f(value)` gives, called as a callback with a `const T&` (with nothing if T
    /// is void); an exception goes past `f`. If it is cancelled before that, `f` is not called.
    template <detail::ContinuationOf<T> F>
    auto then(F f) const -> Future<detail::ThenResult<F, T>>;

    /// Whether they mean the same result: which of several is this that as_completed() gives?
    [[nodiscard]] friend bool operator==(const Future& a, const Future& b) noexcept {
        return a.state_ == b.state_;
    }
    /// An order, for std::map; it means nothing else.
    [[nodiscard]] friend std::strong_ordering operator<=>(const Future& a,
                                                          const Future& b) noexcept {
        return std::compare_three_way()(a.state_.get(), b.state_.get());
    }

    /// `<Future pending>`, `<Future running>`, `<Future cancelled>`, `<Future finished returned
    /// int>`, `<Future finished raised std::out_of_range>`
    [[nodiscard]] std::string to_string() const {
        return state_ == nullptr ? "<Future of nothing>" : state_->describe(detail_type_name());
    }

    /// \internal
    explicit Future(std::shared_ptr<detail::FutureValue<T>> state) noexcept
        : state_(std::move(state)) {}
    /// \internal \param owner  for drop_callbacks() of the state
    template <class Callback>
    void add_done_callback_of(const void* owner, Callback callback) const {
        // Weak: a callback that its own state kept would keep that for ever.
        state().add_callback(
            [weak = std::weak_ptr(state_), callback = std::move(callback)]() mutable {
                if (auto state = weak.lock())
                    std::invoke(callback, Future(std::move(state)));
            },
            owner);
    }
    [[nodiscard]] const std::shared_ptr<detail::FutureValue<T>>& shared_state() const noexcept {
        return state_;
    }

private:
    [[nodiscard]] detail::FutureValue<T>& state() const {
        if (state_ == nullptr)
            detail::throw_no_future();
        return *state_;
    }
    void settle() const {
        if (const std::exception_ptr error = state().error())
            std::rethrow_exception(error);
    }
    static std::string detail_type_name();

    std::shared_ptr<detail::FutureValue<T>> state_;
};

/// The other side of a future, for work that is done by other means than a pool.
///
/// One that was moved from throws InvalidState. Who drops a promise that is not kept leaves those
/// waiting who wait for its future.
template <class T>
class Promise {
public:
    Promise() : state_(std::make_shared<detail::FutureValue<T>>()) {}

    [[nodiscard]] Future<T> get_future() const {
        static_cast<void>(state());
        return Future<T>(state_);
    }
    /// \throws InvalidState when there is a result already, or it was cancelled
    template <class... U>
        requires std::constructible_from<detail::Stored<T>, U...>
    void set_value(U&&... value) {
        state().set_value(detail::Stored<T>(std::forward<U>(value)...));
    }
    /// \throws InvalidArgument for a null pointer; as set_value()
    void set_exception(std::exception_ptr error) {
        if (error == nullptr)
            detail::throw_no_exception();
        state().set_error(std::move(error));
    }
    /// The work begins. \return false when it was cancelled: do not begin
    [[nodiscard]] bool set_running() { return state().set_running(); }

private:
    [[nodiscard]] detail::FutureValue<T>& state() const {
        if (state_ == nullptr)
            detail::throw_no_promise();
        return *state_;
    }

    std::shared_ptr<detail::FutureValue<T>> state_;
};

namespace detail {
[[nodiscard]] MULTIFORK_API std::string type_name(const std::type_info& type);
} // namespace detail

template <class T>
std::string Future<T>::detail_type_name() {
    return detail::type_name(typeid(T));
}

template <class T>
template <detail::ContinuationOf<T> F>
auto Future<T>::then(F f) const -> Future<detail::ThenResult<F, T>> {
    using R = detail::ThenResult<F, T>;
    Promise<R> promise;
    state().add_callback([weak = std::weak_ptr(state_), promise, f = std::move(f)]() mutable {
        if (!promise.set_running())
            return;
        const Future<T> done(weak.lock());
        try {
            const auto call = [&]() -> R {
                if constexpr (std::is_void_v<T>) {
                    done.get();
                    return std::invoke(f);
                } else {
                    return std::invoke(f, done.get());
                }
            };
            if constexpr (std::is_void_v<R>) {
                call();
                promise.set_value();
            } else {
                promise.set_value(call());
            }
        } catch (...) {
            promise.set_exception(std::current_exception());
        }
    });
    return promise.get_future();
}

} // namespace multifork

/// For std::unordered_map from futures to what they were made for.
template <class T>
struct std::hash<multifork::Future<T>> {
    [[nodiscard]] std::size_t operator()(const multifork::Future<T>& future) const noexcept {
        return std::hash<const void*>()(future.shared_state().get());
    }
};
