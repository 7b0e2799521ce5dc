#pragma once

#include <multifork/format.hpp>
#include <multifork/pool/bind_front.hpp>
#include <multifork/pool/checks.hpp>
#include <multifork/pool/core_budget.hpp>
#include <multifork/pool/error.hpp>
#include <multifork/pool/future.hpp>
#include <multifork/pool/imap.hpp>
#include <multifork/pool/map.hpp>
#include <multifork/pool/pool_core.hpp>
#include <multifork/pool/pool_front.hpp>
#include <multifork/pool/pool_options.hpp>
#include <multifork/pool/registered_exception.hpp>
#include <multifork/process/context.hpp>
#include <multifork/process/cpu_count.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
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

template <>
struct Starter<PoolCore> {
    template <class F, class... Args>
    [[nodiscard]] static auto call(const std::shared_ptr<PoolCore>& core, F&& f, Args&&... args) {
        // Asked at once, not when what is called below is compiled, at the end of the file: see
        // Cross::read().
        if constexpr (!Crossable<std::decay_t<F>>)
            check_crosses<std::decay_t<F>>();
        const std::decay_t<F>& callable = f;
        return call_decayed<std::decay_t<F>, std::decay_t<Args>...>(core, callable, args...);
    }
    template <template <class, class> class Way, class F, class Range>
    [[nodiscard]] static auto map(const std::shared_ptr<PoolCore>& core, F&& f, Range&& items,
                                  const MapOptions& options) {
        if constexpr (!Crossable<std::decay_t<F>>) // as above
            check_crosses<std::decay_t<F>>();
        const std::decay_t<F>& callable = f;
        return submit_map<Way>(core, callable, with_size(items), options);
    }
    /// What tasks that share a function carry.
    template <class... Ts, class F>
    [[nodiscard]] static F hold(F f) {
        return f;
    }

private:
    template <class F, class... Args>
    [[nodiscard]] static auto call_decayed(const std::shared_ptr<PoolCore>& core, const F& f,
                                           const Args&... args) {
        return submit_call<F, Args...>(core, f, args...);
    }
};

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
/// terminate() sends SIGTERM to the workers, and SIGKILL to those that do not heed it within five
/// seconds; tasks that they ran fail with Cancelled. The destructor terminates, and joins; call
/// close() and join() to let it finish.
///
/// \threads   safe; a callback must not wait for another task of the same pool
/// \processes only the process that made it can use it
/// \fork      a child's copy is of no use, and does no harm
/// \crash     a worker may be killed at any instruction: its task fails or is done, never both, and
///            nobody hangs
class Pool : public detail::PoolFront<detail::PoolCore> {
public:
    /// As many workers as there are processors for this process; within a worker of another pool,
    /// its part of them: core_budget().
    Pool() : Pool(core_budget()) {}
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
            : PoolFront(detail::PoolCore::start(
                  workers, options,
                  detail::make_worker<std::decay_t<Init>, std::decay_t<Args>...>(
                      std::forward<Init>(init), std::forward<Args>(args)...))) {}

        /// The workers of this moment.
        [[nodiscard]] std::vector<ProcessHandle> processes() const {
            return core()->processes();
        }

    private:
        static PoolOptions with_method(const Context& context, PoolOptions options) {
            options.start_method = context.start_method();
            return options;
        }
};

} // namespace multifork
