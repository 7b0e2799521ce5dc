#pragma once

#include <multifork/process/start_method.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

namespace multifork {

/// What a pool does when a worker ends with a task that it has taken.
enum class on_worker_death : std::uint8_t {
    fail_task,  ///< its future throws WorkerDied; the default
    retry_task, ///< another worker gets it, PoolOptions::retries times at most; then it fails
    break_pool  ///< it and all others fail with BrokenProcessPool, as in Python's executors: also
                ///< when a worker dies that had no task, or a result cannot be read
};

struct PoolOptions {
    /// Nothing: what get_start_method() says.
    std::optional<StartMethod> start_method = {};
    /// How many tasks a worker does before another takes its place. 0 is refused; nothing: no end.
    std::optional<std::int64_t> max_tasks_per_worker = {};
    on_worker_death when_worker_dies = on_worker_death::fail_task;
    unsigned retries = 2;
    /// How long a task (of map: a chunk) may run. Then its worker is killed, and its future throws
    /// TaskTimedOut. 0: for ever.
    std::chrono::nanoseconds task_limit{0};
    /// Workers are started when there is work for them, instead of at once.
    bool start_on_demand = false;
};

struct MapOptions {
    /// Items that are one task: what fails if its worker dies, or one of them throws. Nothing: such
    /// that each worker gets about sixteen, of which it claims several at a time if they are short;
    /// imap: 1.
    std::optional<std::int64_t> chunk_size = {};
    /// Of imap: chunks that are taken from the input before their results are wanted. Nothing: four
    /// for each worker.
    std::optional<std::int64_t> look_ahead = {};
    /// Called with the items done (failed ones too) and all items, in this process, after each
    /// chunk: by map() in the pool's own thread, by imap() in the thread that takes the results,
    /// when it has got them. An imap() whose input has no size says 0 for all; the last call says
    /// what was done for both. What it throws is said on stderr. See progress_bar().
    std::function<void(std::size_t done, std::size_t all)> progress = {};
};

} // namespace multifork
