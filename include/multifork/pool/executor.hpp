#pragma once

#include <multifork/format.hpp>
#include <multifork/pool/core_budget.hpp>
#include <multifork/pool/executor_front.hpp>
#include <multifork/pool/pool.hpp>
#include <multifork/pool/thread_pool.hpp>
#include <multifork/process/context.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

/// \file
/// Executors in the manner of Python's concurrent.futures: one interface over processes and
/// threads. as_completed() and wait() for their futures are in wait.hpp.

namespace multifork {

struct ProcessPoolExecutorOptions {
    /// Python's mp_context. Nothing: spawn if `max_tasks_per_child` is given, else what
    /// get_start_method() says.
    std::optional<StartMethod> start_method = {};
    /// How many tasks a worker does before another takes its place. 0 is refused; nothing: no end.
    std::optional<std::int64_t> max_tasks_per_child = {};
    /// As in Python, a worker that dies breaks the executor. That can be had otherwise.
    on_worker_death when_worker_dies = on_worker_death::break_pool;
    unsigned retries = 2;
    /// How long a task (a chunk, of map) may run; see PoolOptions. 0: for ever.
    std::chrono::nanoseconds task_limit{0};
};

struct ThreadPoolExecutorOptions {
    /// Threads are called by it, "_0", "_1" and so on. Nothing: "ThreadPoolExecutor-1".
    std::string thread_name_prefix = {};
};

/// An executor whose tasks run in worker processes, as Python's.
///
/// \code
///   mp::ProcessPoolExecutor executor{4};
///   mp::Future<double> answer = executor.submit(simulate, 42);
///   for (const int square : executor.map([](int x) { return x * x; }, numbers)) show(square);
/// \endcode
///
/// What it differs in from Pool, whose rules for what crosses hold here, too: workers are started
/// when the first task comes: all at once if they are forked, else as many as there is work for. A
/// worker that dies breaks it, as does a result that cannot be read: every future that is not ready
/// fails with BrokenProcessPool, and submit() throws it. map() gives results as they come. The
/// destructor waits until all is done, unless shutdown() was called before.
///
/// When the program ends by returning from main or by exit(), what was submitted is done first.
///
/// \threads   safe; a callback must not wait for another task of the same executor
/// \processes only the process that made it can use it
/// \fork      a child's copy is of no use, and does no harm
/// \crash     as Pool: nobody hangs, and each task is done or fails
class ProcessPoolExecutor : public detail::ExecutorFront<detail::PoolCore> {
public:
    /// As many workers as there are processors for this process; within a worker of a pool, its
    /// part of them: core_budget().
    ProcessPoolExecutor() : ProcessPoolExecutor(core_budget()) {}
    /// \throws InvalidArgument for less than 1 worker or task for each
    explicit ProcessPoolExecutor(std::int64_t max_workers, ProcessPoolExecutorOptions options = {})
        : ProcessPoolExecutor(max_workers, options, detail::NoInitializer{}) {}
    ProcessPoolExecutor(const Context& context, std::int64_t max_workers,
                        ProcessPoolExecutorOptions options = {})
        : ProcessPoolExecutor(max_workers, with_method(context, options)) {}

    /// \param init  called with `args` in each worker before its first task. If it throws, the
    ///              executor is broken
    template <class Init, class... Args>
        requires std::invocable<std::decay_t<Init>, std::decay_t<Args>...>
        ProcessPoolExecutor(std::int64_t max_workers, ProcessPoolExecutorOptions options,
                            Init&& init, Args&&... args)
            : ProcessPoolExecutor(max_workers, pool_options(options),
                                  detail::make_worker<std::decay_t<Init>, std::decay_t<Args>...>(
                                      std::forward<Init>(init), std::forward<Args>(args)...)) {}

        [[nodiscard]] StartMethod start_method() const noexcept {
            return method_;
        }
        /// The workers of this moment; none before the first task.
        [[nodiscard]] std::vector<ProcessHandle> processes() const {
            const auto core = state()->core();
            return core == nullptr ? std::vector<ProcessHandle>() : core->processes();
        }

    private:
        ProcessPoolExecutor(std::int64_t max_workers, const PoolOptions& options,
                            detail::MakeWorker make)
            : ExecutorFront("ProcessPoolExecutor", max_workers,
                            [=, make = std::move(make)] {
                                return detail::PoolCore::start(max_workers, options, make);
                            }),
              method_(*options.start_method) {}

        static ProcessPoolExecutorOptions with_method(const Context& context,
                                                      ProcessPoolExecutorOptions options) {
            options.start_method = context.start_method();
            return options;
        }
        static PoolOptions pool_options(const ProcessPoolExecutorOptions& given) {
            PoolOptions options;
            options.start_method = given.start_method ? *given.start_method
                                   : given.max_tasks_per_child
                                       ? StartMethod::spawn
                                       : start_method_of(get_start_method());
            options.max_tasks_per_worker = given.max_tasks_per_child;
            options.when_worker_dies = given.when_worker_dies;
            options.retries = given.retries;
            options.task_limit = given.task_limit;
            options.start_on_demand = *options.start_method != StartMethod::fork;
            detail::check_pool_options(options);
            return options;
        }

        StartMethod method_;
};

/// An executor whose tasks run in threads of this process, as Python's.
///
/// ThreadPool's rules hold, but for these: a thread is started when a task comes and none is idle;
/// map() gives results as they come; the destructor waits until all is done, unless shutdown() was
/// called before. An initializer that throws breaks it: BrokenThreadPool.
///
/// When the program ends by returning from main or by exit(), what was submitted is done first.
///
/// \threads   safe; a task or callback that waits for another task of the same executor may wait
///            for ever
/// \processes only the process that made it can use it
/// \fork      a child's copy is of no use, and does no harm
class ThreadPoolExecutor : public detail::ExecutorFront<detail::ThreadCore> {
public:
    /// min(32, core_budget() + 4) threads, for tasks that mostly wait.
    ThreadPoolExecutor() : ThreadPoolExecutor(default_workers()) {}
    /// \throws InvalidArgument for less than 1 thread
    explicit ThreadPoolExecutor(std::int64_t max_workers, ThreadPoolExecutorOptions options = {})
        : ThreadPoolExecutor(max_workers, std::move(options), std::function<void()>(), {}) {}

    /// \param init  called with copies of `args` in each thread before its first task
    template <class Init, class... Args>
        requires std::invocable<std::decay_t<Init>, std::decay_t<Args>...>
        ThreadPoolExecutor(std::int64_t max_workers, ThreadPoolExecutorOptions options, Init&& init,
                           Args&&... args)
            : ThreadPoolExecutor(
                  max_workers, std::move(options),
                  detail::thread_initializer<std::decay_t<Init>, std::decay_t<Args>...>(
                      std::forward<Init>(init), std::forward<Args>(args)...),
                  {}) {}

        [[nodiscard]] static std::int64_t default_workers() {
            return std::min<std::int64_t>(32, core_budget() + 4);
        }
        /// The threads of this moment; none before the first task.
        [[nodiscard]] std::vector<PoolThread> threads() const {
            const auto core = state()->core();
            return core == nullptr ? std::vector<PoolThread>() : core->threads();
        }

    private:
        struct Tag {};
        ThreadPoolExecutor(std::int64_t max_workers, ThreadPoolExecutorOptions options,
                           std::function<void()> initializer, Tag)
            : ExecutorFront("ThreadPoolExecutor", max_workers,
                            [core = detail::ThreadCoreOptions{
                                 max_workers,
                                 options.thread_name_prefix.empty()
                                     ? detail::numbered_pool_name("ThreadPoolExecutor")
                                     : std::move(options.thread_name_prefix),
                                 true, std::move(initializer)}] {
                                return detail::ThreadCore::start(core);
                            }) {}
};

} // namespace multifork
