#include <multifork/pool/future.hpp>

#include <multifork/liveness/tuning.hpp>
#include <multifork/platform/wait_before.hpp>

#include <boost/core/demangle.hpp>
#include <fmt/format.h>
#include <sched.h>

#include <condition_variable>
#include <cstdio>
#include <typeinfo>

namespace multifork::detail {
namespace {

std::exception_ptr cancelled() {
    return std::make_exception_ptr(
        Cancelled("the task was cancelled before it began; there is no result"));
}

std::string_view name_of(FutureStatus status) {
    switch (status) {
    case FutureStatus::pending:
        return "pending";
    case FutureStatus::running:
        return "running";
    case FutureStatus::cancelled:
        return "cancelled";
    case FutureStatus::finished:
        return "finished";
    }
    return "unknown";
}

std::string type_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::nested_exception&) { // what came from a worker, with its own type inside
        if (const auto remote = remote_cause(error))
            return remote->type_name();
        return "a nested exception";
    } catch (const std::exception& thrown) {
        return type_name(typeid(thrown));
    } catch (...) {
        return "an exception of unknown type";
    }
}

} // namespace

/// Enters itself; under the mutex of the state, which is held whenever anybody looks at it.
struct FutureState::Waiter {
    explicit Waiter(const FutureState& state) : waiters(state.waiters_), next(waiters) {
        waiters = this;
    }
    ~Waiter() {
        Waiter** link = &waiters;
        while (*link != this)
            link = &(*link)->next;
        *link = next;
    }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    Waiter*& waiters;
    Waiter* next;
    std::condition_variable changed;
};

FutureState::FutureState() = default;
FutureState::FutureState(FutureSource& whole) noexcept : whole_(&whole) {}
FutureState::~FutureState() = default;

FutureStatus FutureState::status() const {
    std::shared_ptr<FutureSource> keep;
    FutureSource* source = whole_;
    {
        const std::scoped_lock hold(mutex_);
        if (status_ != FutureStatus::pending)
            return status_;
        keep = source_;
    }
    if (source == nullptr)
        source = keep.get();
    return source != nullptr && source->has_begun() ? FutureStatus::running : FutureStatus::pending;
}

bool FutureState::is_settled() const {
    return announced_.load(std::memory_order_relaxed) || announcer_ == std::this_thread::get_id();
}

bool FutureState::wait_before(platform::Deadline deadline) const {
    // acquire, all of them: pairs with the release in settle()
    const auto is_announced = [this] { return announced_.load(std::memory_order_acquire); };
    if (is_announced())
        return true;
    if (!deadline.is_poll()) {
        // What is nearly done would pay for waking this thread.
        const unsigned yields = liveness::tuning().yields.load(std::memory_order_relaxed);
        for (unsigned look = 0; look < yields; ++look) {
            ::sched_yield();
            if (is_announced())
                return true;
        }
    }
    std::unique_lock lock(mutex_);
    if (is_settled() || deadline.is_poll())
        return is_settled();
    Waiter waiter(*this);
    return platform::wait_before(waiter.changed, lock, deadline, [this] { return is_settled(); });
}

void FutureState::settle(std::unique_lock<std::mutex>& lock) {
    // A callback may drop the last future; and who waits may drop the promise while its set_value()
    // is still on its way out. A part of a task needs it for callbacks alone: the pool keeps that.
    const bool is_kept = whole_ != nullptr && callbacks_.empty();
    const auto keep = is_kept ? nullptr : weak_from_this().lock();
    announcer_ = std::this_thread::get_id();
    source_.reset();
    while (!callbacks_.empty()) {
        auto callbacks = std::exchange(callbacks_, {});
        lock.unlock();
        for (Callback& callback : callbacks) {
            try {
                callback.call();
            } catch (...) {
                report_callback(std::current_exception());
            }
            callback.call = nullptr;
        }
        lock.lock();
    }
    announced_.store(true, std::memory_order_release);
    announcer_ = {};
    // Under the lock: a waiter that has it is gone, and so, soon, may be this state.
    for (Waiter* waiter = waiters_; waiter != nullptr; waiter = waiter->next)
        waiter->changed.notify_one();
    lock.unlock();
}

std::unique_lock<std::mutex> FutureState::begin_result() {
    std::unique_lock lock(mutex_);
    if (status_ == FutureStatus::cancelled || status_ == FutureStatus::finished)
        throw InvalidState(fmt::format("a result for a future that is {} already; a promise is "
                                       "kept once",
                                       name_of(status_)));
    return lock;
}

void FutureState::end_result(std::unique_lock<std::mutex> lock) {
    status_ = FutureStatus::finished;
    settle(lock);
}

void FutureState::set_error(std::exception_ptr error) {
    auto lock = begin_result();
    error_ = std::move(error);
    end_result(std::move(lock));
}

bool FutureState::cancel() {
    std::shared_ptr<FutureSource> keep;
    FutureSource* source = whole_;
    {
        const std::scoped_lock hold(mutex_);
        if (status_ != FutureStatus::pending)
            return status_ == FutureStatus::cancelled;
        keep = source_;
    }
    if (source == nullptr)
        source = keep.get();
    // First, as it may throw: what was withdrawn nobody does any more.
    std::exception_ptr error = cancelled();
    // Without the lock: the source has one of its own, which it holds when it tells of a result.
    if (source != nullptr && !source->withdraw())
        return false;
    std::unique_lock lock(mutex_);
    if (status_ != FutureStatus::pending)
        return status_ == FutureStatus::cancelled;
    error_ = std::move(error);
    status_ = FutureStatus::cancelled;
    settle(lock);
    return true;
}

bool FutureState::set_running() {
    const std::scoped_lock hold(mutex_);
    if (status_ == FutureStatus::cancelled)
        return false;
    if (status_ != FutureStatus::pending)
        throw InvalidState(fmt::format("set_running() of a future that is {}", name_of(status_)));
    status_ = FutureStatus::running;
    return true;
}

void FutureState::add_callback(std::function<void()> callback, const void* owner) {
    {
        const std::scoped_lock hold(mutex_);
        // Also while another thread calls those before it: that one calls this, too.
        if (!is_settled()) {
            callbacks_.push_back({std::move(callback), owner});
            return;
        }
    }
    try {
        callback();
    } catch (...) {
        report_callback(std::current_exception());
    }
}

void FutureState::drop_callbacks(const void* owner) {
    const std::scoped_lock hold(mutex_);
    std::erase_if(callbacks_, [owner](const Callback& c) { return c.owner == owner; });
}

void FutureState::set_source(std::shared_ptr<FutureSource> source) {
    const std::scoped_lock hold(mutex_);
    if (status_ == FutureStatus::pending)
        source_ = std::move(source);
}

std::exception_ptr FutureState::error() const {
    static_cast<void>(wait_before(platform::Deadline::never()));
    if (status_ == FutureStatus::cancelled)
        std::rethrow_exception(error_);
    return error_;
}

std::string FutureState::describe(const std::string& value_type) const {
    const FutureStatus now = status();
    const std::scoped_lock hold(mutex_);
    if (status_ != FutureStatus::finished)
        return fmt::format("<Future {}>", name_of(now));
    if (error_ != nullptr)
        return fmt::format("<Future finished raised {}>", type_of(error_));
    return fmt::format("<Future finished returned {}>", value_type);
}

void throw_no_future() {
    throw InvalidState("this Future has no task: it was made empty, or moved from");
}

void throw_no_promise() {
    throw InvalidState("this Promise was moved from; use the one it was moved to");
}

void throw_no_exception() {
    throw InvalidArgument("set_exception() of a promise with a null pointer; is "
                          "std::current_exception() called outside of a handler?");
}

void report_callback(std::exception_ptr error) noexcept {
    try {
        std::rethrow_exception(std::move(error));
    } catch (const std::exception& thrown) {
        std::fprintf(stderr, "multifork: a callback of a future threw: %s\n", thrown.what());
    } catch (...) {
        std::fprintf(stderr, "multifork: a callback of a future threw\n");
    }
}

std::string type_name(const std::type_info& type) {
    return boost::core::demangle(type.name());
}

} // namespace multifork::detail
