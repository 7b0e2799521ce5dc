#pragma once

#include <multifork/format.hpp>
#include <multifork/pool/core_budget.hpp>
#include <multifork/pool/pool_front.hpp>
#include <multifork/pool/thread_core.hpp>
#include <multifork/pool/thread_task.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace multifork {

struct ThreadPoolOptions {
    /// What threads are called, before "_0", "_1" and so on. Nothing: "ThreadPool-1".
    std::string name = {};
    /// Threads are started when there is work for them, instead of at once.
    bool start_on_demand = false;
};

namespace detail {

/// What each thread of a pool runs first: copies of its own are called, as in a process.
template <class Init, class... Args>
[[nodiscard]] std::function<void()> thread_initializer(Init init, Args... args) {
    return [init = std::move(init), ... args = std::move(args)] {
        std::invoke(Init(init), Args(args)...);
    };
}

} // namespace detail

/// Threads of this process that run functions: the twin of Pool.
///
/// \code
///   mp::ThreadPool pool{4};
///   std::vector<std::string> pages = pool.map(fetch, addresses);
///   mp::Future<void> saved = pool.submit([&] { store.save(); });
/// \endcode
///
/// The same calls, but nothing has to cross: any callable will do, with captures and arguments by
/// reference (std::ref), and what is moved in need not be copyable. Arguments and items are copied
/// or moved once, when they are submitted. A function that map() runs is shared by all threads if
/// it can be called as a constant, and must then bear to be called by several at once; one that
/// changes itself (a mutable closure) is copied for each chunk.
///
/// A thread cannot be killed. So there is no time limit, a task that crashes takes the program with
/// it, and terminate() drops what has not begun, while join() waits for what has. A task that ends
/// its thread (pthread_exit()) fails with WorkerDied, and another thread takes its place.
///
/// Callbacks run in the thread that was done with the task. The destructor terminates, and joins;
/// call close() and join() to let all be done.
///
/// \threads   safe; a task or callback that waits for another task of the same pool may wait for
///            ever
/// \processes only the process that made it can use it
/// \fork      a child's copy is of no use, and does no harm
class ThreadPool : public detail::PoolFront<detail::ThreadCore> {
public:
    /// As many threads as there are processors for this process; within a worker of a Pool, its
    /// part of them: core_budget().
    ThreadPool() : ThreadPool(core_budget()) {}
    /// \throws InvalidArgument for less than 1 thread; BrokenThreadPool when the system has no more
    explicit ThreadPool(std::int64_t threads, ThreadPoolOptions options = {})
        : PoolFront(start(threads, std::move(options), {})) {}

    /// \param init  called with copies of `args` in each thread before its first task. If it
    ///              throws, the pool is broken: every task fails with BrokenThreadPool, which says
    ///              why
    template <class Init, class... Args>
        requires std::invocable<std::decay_t<Init>, std::decay_t<Args>...>
        ThreadPool(std::int64_t threads, ThreadPoolOptions options, Init&& init, Args&&... args)
            : PoolFront(start(threads, std::move(options),
                              detail::thread_initializer<std::decay_t<Init>, std::decay_t<Args>...>(
                                  std::forward<Init>(init), std::forward<Args>(args)...))) {}

        /// The threads of this moment.
        [[nodiscard]] std::vector<PoolThread> threads() const {
            return core()->threads();
        }

    private:
        static std::shared_ptr<detail::ThreadCore>
        start(std::int64_t threads, ThreadPoolOptions options, std::function<void()> initializer) {
            if (options.name.empty())
                options.name = detail::numbered_pool_name("ThreadPool");
            return detail::ThreadCore::start({threads, std::move(options.name),
                                              options.start_on_demand, std::move(initializer)});
        }
};

} // namespace multifork
