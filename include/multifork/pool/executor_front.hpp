#pragma once

#include <multifork/platform/export.hpp>
#include <multifork/pool/error.hpp>
#include <multifork/pool/executor_map.hpp>
#include <multifork/pool/future.hpp>
#include <multifork/pool/pool_front.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>

namespace multifork::detail {

/// \throws InvalidArgument unless it is positive
[[nodiscard]] MULTIFORK_API std::int64_t checked_max_workers(std::int64_t asked);
/// When the program ends by returning from main or by exit(), `end` is called with each core that
/// is still there. \throws InvalidState when that has been done already
MULTIFORK_API void end_at_exit(std::weak_ptr<void> core, void (*end)(void* core));
/// Call it when an executor is made: one that nobody has used by then must not begin any more.
MULTIFORK_API void watch_exit();
/// \throws InvalidState when that has been done: it is too late to start anything; ProcessError in
/// another process than `owner`
MULTIFORK_API void check_executor_process(int owner);
[[nodiscard]] MULTIFORK_API bool is_this_process(int pid) noexcept;
[[nodiscard]] MULTIFORK_API int this_pid() noexcept;
[[noreturn]] MULTIFORK_API void throw_executor_shut();
[[nodiscard]] MULTIFORK_API std::string
describe_executor(const char* name, std::int64_t max_workers, bool shut, const std::string& pool);

/// An executor in the memory of its process. Its core is made when the first task comes.
template <class Core>
class ExecutorState {
public:
    ExecutorState(const char* name, std::int64_t max_workers,
                  std::function<std::shared_ptr<Core>()> make)
        : name_(name), max_workers_(checked_max_workers(max_workers)), make_(std::move(make)) {
        watch_exit();
    }

    [[nodiscard]] std::int64_t max_workers() const noexcept { return max_workers_; }

    [[nodiscard]] std::shared_ptr<Core> open_core() {
        check_executor_process(owner_);
        const std::scoped_lock hold(mutex_);
        if (shut_)
            throw_executor_shut();
        if (core_ == nullptr) {
            std::shared_ptr<Core> made = make_();
            try {
                end_at_exit(made, [](void* core) {
                    static_cast<Core*>(core)->close();
                    static_cast<Core*>(core)->join();
                });
            } catch (...) {
                made->leave();
                throw;
            }
            core_ = std::move(made);
        }
        return core_;
    }
    /// Null before the first task.
    [[nodiscard]] std::shared_ptr<Core> core() const {
        if (!is_this_process(owner_))
            return nullptr; // a copy in a child, whose mutex may be held by nobody there
        const std::scoped_lock hold(mutex_);
        return core_;
    }
    void shutdown(bool wait, bool cancel_futures) {
        if (!is_this_process(owner_))
            return;
        std::shared_ptr<Core> core;
        {
            const std::scoped_lock hold(mutex_);
            shut_ = true;
            core = core_;
        }
        if (core == nullptr)
            return;
        core->close();
        if (cancel_futures)
            for (const auto& task : core->waiting())
                task->cancel();
        if (wait)
            core->join();
    }
    void leave() noexcept {
        try {
            bool shut = false;
            if (is_this_process(owner_)) {
                const std::scoped_lock hold(mutex_);
                shut = shut_;
            }
            if (!shut)
                shutdown(true, false);
        } catch (...) {
            // A destructor has nobody to tell.
        }
    }
    [[nodiscard]] std::string to_string() const {
        const auto now = core();
        bool shut = false;
        if (is_this_process(owner_)) {
            const std::scoped_lock hold(mutex_);
            shut = shut_;
        }
        return describe_executor(name_, max_workers_, shut, now ? now->to_string() : "");
    }

private:
    const char* const name_;
    const std::int64_t max_workers_;
    const int owner_ = this_pid();
    const std::function<std::shared_ptr<Core>()> make_;
    mutable std::mutex mutex_; // of what follows
    bool shut_ = false;
    std::shared_ptr<Core> core_;
};

/// What one can do with an executor of either kind.
///
/// \threads safe; a callback must not wait for another task of the same executor
template <class Core>
class ExecutorFront {
public:
    using multifork_describable = void;

    /// Has a worker call `f(args...)`. What cannot be sent to it (a serialize() that throws, say)
    /// fails the future.
    /// \throws InvalidState after shutdown(), and when the program ends; BrokenPool
    template <class F, class... Args>
        requires Work<F, Args...>
    [[nodiscard]] auto submit(F&& f, Args&&... args) {
        return submit_to(state(), std::forward<F>(f), std::forward<Args>(args)...);
    }

    /// `f` of each item, as a range of results in the order of the items. All is submitted at once,
    /// unless a buffer size says how far ahead.
    /// \throws as submit(); InvalidArgument for a chunk size below 1; what the input throws
    template <class F, std::ranges::viewable_range Range>
    auto map(F&& f, Range&& items, const ExecutorMapOptions& options = {}) {
        return map_over(options, std::forward<F>(f), std::forward<Range>(items));
    }
    /// `f(a, b)` for items of two ranges side by side, to the end of the shorter.
    template <class F, std::ranges::viewable_range A, std::ranges::viewable_range B>
    auto map(F&& f, A&& as, B&& bs, const ExecutorMapOptions& options = {}) {
        return map_over(options, std::forward<F>(f), std::forward<A>(as), std::forward<B>(bs));
    }
    template <class F, std::ranges::viewable_range A, std::ranges::viewable_range B,
              std::ranges::viewable_range C>
    auto map(F&& f, A&& as, B&& bs, C&& cs, const ExecutorMapOptions& options = {}) {
        return map_over(options, std::forward<F>(f), std::forward<A>(as), std::forward<B>(bs),
                        std::forward<C>(cs));
    }

    /// No task more; the workers end when all is done. Twice is once.
    /// \param wait            until they have ended
    /// \param cancel_futures  what has not begun is cancelled, not done
    /// \throws WouldDeadlock when it is to wait in a callback or a thread of its own
    void shutdown(bool wait = true, bool cancel_futures = false) {
        state()->shutdown(wait, cancel_futures);
    }

    [[nodiscard]] std::int64_t max_workers() const { return state()->max_workers(); }
    /// `<ThreadPoolExecutor max_workers=4 open: <ThreadPool ...>>`
    [[nodiscard]] std::string to_string() const { return state()->to_string(); }

protected:
    using State = ExecutorState<Core>;

    ExecutorFront(const char* name, std::int64_t max_workers,
                  std::function<std::shared_ptr<Core>()> make)
        : state_(std::make_shared<State>(name, max_workers, std::move(make))) {}
    ExecutorFront(ExecutorFront&&) noexcept = default;
    ExecutorFront& operator=(ExecutorFront&& other) noexcept {
        if (this != &other) {
            leave();
            state_ = std::move(other.state_);
        }
        return *this;
    }
    ~ExecutorFront() { leave(); }

    [[nodiscard]] const std::shared_ptr<State>& state() const {
        if (state_ == nullptr)
            throw InvalidState("this executor was moved from; use the one it was moved to");
        return state_;
    }

private:
    void leave() noexcept {
        if (state_ != nullptr)
            state_->leave();
        state_.reset();
    }

    template <class F, class... Args>
    [[nodiscard]] static auto submit_to(const std::shared_ptr<State>& state, F&& f,
                                        Args&&... args) {
        using R = CallResult<std::decay_t<F>, std::decay_t<Args>...>;
        const std::shared_ptr<Core> core = state->open_core();
        try {
            return Future<R>(
                Starter<Core>::call(core, std::forward<F>(f), std::forward<Args>(args)...));
        } catch (const BrokenPool&) {
            throw;
        } catch (...) {
            core->check_open(); // or was it that?
            Promise<R> promise;
            promise.set_exception(std::current_exception());
            return promise.get_future();
        }
    }

    template <class F, class... Ranges>
    [[nodiscard]] auto map_over(const ExecutorMapOptions& options, F&& f, Ranges&&... ranges) {
        using R = std::decay_t<
            std::invoke_result_t<std::decay_t<F>&, Item<std::views::all_t<Ranges>>...>>;
        static_cast<void>(state()->open_core());
        auto submit = [state = state()](auto function, const auto& callable, auto chunk) {
            return submit_to(state, function, callable, std::move(chunk));
        };
        auto held = Starter<Core>::template hold<Item<std::views::all_t<Ranges>>...>(
            std::decay_t<F>(std::forward<F>(f)));
        using Chunks =
            ZippedChunks<R, decltype(held), decltype(submit), std::views::all_t<Ranges>...>;
        return ExecutorResults<R>(
            std::make_unique<Chunks>(std::move(held), std::move(submit),
                                     checked_chunk_size(options.chunk_size),
                                     std::views::all(std::forward<Ranges>(ranges))...),
            options);
    }

    std::shared_ptr<State> state_;
};

} // namespace multifork::detail

namespace multifork {

/// What ProcessPoolExecutor and ThreadPoolExecutor have in common.
template <class E>
concept Executor = requires(E& executor, int (*f)(int), bool flag) {
    { executor.submit(f, 1) } -> std::same_as<Future<int>>;
    { executor.map(f, std::views::iota(0, 1)).next() } -> std::same_as<std::optional<int>>;
    executor.shutdown(flag, flag);
    { executor.max_workers() } -> std::same_as<std::int64_t>;
};

} // namespace multifork
