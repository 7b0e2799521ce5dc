#pragma once

#include <multifork/format.hpp>
#include <multifork/pool/bind_front.hpp>
#include <multifork/pool/error.hpp>
#include <multifork/pool/future.hpp>
#include <multifork/pool/imap.hpp>
#include <multifork/pool/map.hpp>
#include <multifork/pool/pool_core.hpp>
#include <multifork/pool/pool_options.hpp>
#include <multifork/process/context.hpp>
#include <multifork/process/cpu_count.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace multifork {

namespace detail {

/// What the process of a worker runs. By fork nothing of this crosses; else all of it does.
template <class Init, class... Args>
void worker_with(const PoolTable& table, std::uint32_t seat, std::uint64_t most_tasks, Init init,
                 Args... args) {
    be_worker(table, seat, most_tasks, [&] { std::invoke(std::move(init), std::move(args)...); });
}

template <class Init, class... Args>
[[nodiscard]] MakeWorker make_worker(Init init, Args... args) {
    return [init = std::move(init),
            ... args = std::move(args)](ProcessOptions options, const PoolTable& table,
                                        std::uint32_t seat, std::uint64_t most_tasks) {
        return Process(std::move(options), &worker_with<Init, Args...>, table, seat, most_tasks,
                       init, args...);
    };
}

struct NoInitializer {
    void operator()() const noexcept {}
};

/// Whether something can be given to Pool::map(): a range that is no pool option.
template <class R>
concept Items = std::ranges::input_range<R>;

} // namespace detail

/// Worker processes that run functions.
///
/// \code
///   mp::Pool pool{4};
///   std::vector<int> squares = pool.map([](int x) { return x * x; }, std::views::iota(0, 100));
///   mp::Future<double> answer = pool.submit(simulate, 42, "a name"s);
///   for (const Thumbnail& t : pool.imap(make_thumbnail, files)) show(t);
/// \endcode
///
/// What a task is made of crosses to workers that were there before it: functions, closures that
/// capture plain values, arguments that the codec knows, handles on shared objects, and
/// bind_front() of these. Anything else does not compile; a captured reference or pointer, which
/// the compiler cannot see, is refused when the task is submitted. Handles that the task uses must
/// be its arguments, or bound, unless they are globals that were there when a pool of forked
/// workers was made.
///
/// A worker that dies fails the task that it had taken, and no other; another worker takes its
/// place. See PoolOptions for what else may happen then. An exception of a task is thrown by get()
/// with its own type if that is a standard one or one of this library's, else as RemoteError;
/// remote_cause() tells more of it.
///
/// The pool has a thread of its own in the process that made it, which collects results, calls
/// callbacks, and starts workers in place of others. It blocks all signals. Workers that are forked
/// later than in the constructor are forked by that thread: what other threads of the program hold
/// locked at that moment stays locked in the new worker, so a program with threads does better with
/// StartMethod::forkserver. Workers are daemons: they end when the process that made them ends,
/// however it ends.
///
/// The destructor terminates what is not done; call close() and join() to let it finish.
///
/// \threads   safe; a callback must not wait for another task of the same pool
/// \processes only the process that made it can use it
/// \fork      a child's copy is of no use, and does no harm
/// \crash     a worker may be killed at any instruction: its task fails or is done, never both, and
///            nobody hangs
class Pool {
public:
    using multifork_describable = void;

    /// As many workers as there are processors for this process.
    Pool() : Pool(cpu_count()) {}
    /// \throws InvalidArgument for less than 1 worker; ProcessError; OutOfSharedMemory
    explicit Pool(std::int64_t workers, PoolOptions options = {})
        : Pool(workers, std::move(options), detail::NoInitializer{}) {}
    Pool(const Context& context, std::int64_t workers, PoolOptions options = {})
        : Pool(workers, with_method(context, std::move(options))) {}

    /// \param init  called with `args` in each worker before its first task. If it throws, the pool
    ///              is broken: every task fails with BrokenPool, which says why
    /// \throws as the other; NotShareable when workers are not forked and it cannot cross
    template <class Init, class... Args>
        requires std::invocable<std::decay_t<Init>, std::decay_t<Args>...>
        Pool(std::int64_t workers, PoolOptions options, Init&& init, Args&&... args)
            : core_(detail::PoolCore::start(
                  workers, options,
                  detail::make_worker<std::decay_t<Init>, std::decay_t<Args>...>(
                      std::forward<Init>(init), std::forward<Args>(args)...))) {}

        Pool(Pool&&) noexcept = default;
        Pool& operator=(Pool&& other) noexcept {
            if (this != &other) {
                leave();
                core_ = std::move(other.core_);
            }
            return *this;
        }
        /// Terminates, and joins.
        ~Pool() {
            leave();
        }

        /// Has a worker call `f(args...)`. \return what it will give
        /// \throws NotShareable, what a serialize() throws, OutOfSharedMemory; InvalidState when
        /// the pool is closed or terminated; BrokenPool
        template <class F, class... Args>
            requires std::invocable < std::decay_t<F>
        &, std::decay_t<Args>... > [[nodiscard]] auto submit(F&& f, Args&&... args) {
            const std::decay_t<F>& callable = f;
            return submit_decayed<std::decay_t<F>, std::decay_t<Args>...>(callable, args...);
        }
        /// The same, and waits. \throws as submit(), and as Future::get()
        template <class F, class... Args>
            requires std::invocable < std::decay_t<F>
        &, std::decay_t<Args>... > auto apply(F&& f, Args&&... args) {
            return detail::take(submit(std::forward<F>(f), std::forward<Args>(args)...));
        }

        /// `f` of each item, in the order of the items. The items of a chunk are one task.
        /// \return std::vector of the results; nothing if `f` returns void
        /// \throws what `f` threw for the first item for which it did; as submit()
        template <class F, detail::Items Range>
        auto map(F&& f, Range&& items, const MapOptions& options = {}) {
            return detail::take(map_async(std::forward<F>(f), std::forward<Range>(items), options));
        }
        /// The same, as a future.
        template <class F, detail::Items Range>
        [[nodiscard]] auto map_async(F&& f, Range&& items, const MapOptions& options = {}) {
            const std::decay_t<F>& callable = f;
            return detail::submit_map<detail::Plain>(core(), callable, detail::with_size(items),
                                                     options);
        }
        /// As map(), with items that are tuples (or pairs, arrays) of arguments.
        template <class F, detail::Items Range>
        auto starmap(F&& f, Range&& items, const MapOptions& options = {}) {
            return detail::take(
                starmap_async(std::forward<F>(f), std::forward<Range>(items), options));
        }
        template <class F, detail::Items Range>
        [[nodiscard]] auto starmap_async(F&& f, Range&& items, const MapOptions& options = {}) {
            const std::decay_t<F>& callable = f;
            return detail::submit_map<detail::Starred>(core(), callable, detail::with_size(items),
                                                       options);
        }

        /// The results one after another, in the order of the items, each as soon as it is there.
        /// The input is gone through meanwhile, and may be endless. An lvalue range must live as
        /// long.
        template <class F, std::ranges::viewable_range Range>
        [[nodiscard]] auto imap(F&& f, Range&& items, const MapOptions& options = {}) {
            return imap_of(std::forward<F>(f), std::views::all(std::forward<Range>(items)), options,
                           true);
        }
        /// The same, in the order in which they become ready.
        template <class F, std::ranges::viewable_range Range>
        [[nodiscard]] auto imap_unordered(F&& f, Range&& items, const MapOptions& options = {}) {
            return imap_of(std::forward<F>(f), std::views::all(std::forward<Range>(items)), options,
                           false);
        }

        /// No task more; the workers end when all is done. Twice is once.
        void close() {
            core()->close();
        }
        /// Ends the workers now: SIGTERM, and SIGKILL for those that do not heed it within five
        /// seconds. What is not done fails with Cancelled.
        void terminate() {
            core()->terminate();
        }
        /// Waits until all workers have ended. \throws InvalidState before close() or terminate()
        void join() {
            core()->join();
        }

        [[nodiscard]] std::size_t workers() const {
            return core()->workers();
        }
        /// The workers of this moment.
        [[nodiscard]] std::vector<ProcessHandle> processes() const {
            return core()->processes();
        }

        /// `<Pool fork workers=4 open, 12 unfinished>`
        [[nodiscard]] std::string to_string() const {
            return core()->to_string();
        }

    private:
        static PoolOptions with_method(const Context& context, PoolOptions options) {
            options.start_method = context.start_method();
            return options;
        }
        [[nodiscard]] const std::shared_ptr<detail::PoolCore>& core() const {
            if (core_ == nullptr)
                throw InvalidState("this Pool was moved from; use the one it was moved to");
            return core_;
        }
        void leave() noexcept {
            if (core_ != nullptr)
                core_->leave();
            core_.reset();
        }
        template <class F, class... Args>
        [[nodiscard]] auto submit_decayed(const F& f, const Args&... args) {
            return detail::submit_call<F, Args...>(core(), f, args...);
        }
        template <class F, class View>
        [[nodiscard]] auto imap_of(F&& f, View items, const MapOptions& options, bool ordered) {
            using T = detail::Item<View>;
            using R = typename detail::Plain<std::decay_t<F>, T>::Result;
            static_assert(!std::is_void_v<R>,
                          "imap() of a function that returns nothing has nothing to "
                          "go through: use map()");
            core()->check_open();
            auto submit = [core = core(), f = std::decay_t<F>(f)](const std::vector<T>& chunk) {
                MapOptions one;
                one.chunk_size = static_cast<std::int64_t>(chunk.size());
                return detail::submit_map<detail::Plain>(core, f, chunk, one);
            };
            const std::size_t chunk = detail::chunk_size_of(options.chunk_size, 1);
            const std::size_t ahead =
                detail::chunk_size_of(options.look_ahead, 4 * core()->workers());
            return Imap<R, View, decltype(submit)>(std::move(items), std::move(submit), chunk,
                                                   ahead, ordered, options.progress);
        }

        std::shared_ptr<detail::PoolCore> core_;
};

} // namespace multifork
