#pragma once

#include <multifork/error.hpp>

#include <cstddef>
#include <exception>
#include <optional>
#include <string>

namespace multifork {

/// What is known about the end of a worker with its task.
struct WorkerEnd {
    std::string name; ///< "ForkPoolWorker-3"
    int pid = 0;
    int exitcode = 0;     ///< n: exit(n); -n: signal n
    std::size_t task = 0; ///< the number of the task, by submission to this pool, from 0
};

/// The worker that had taken a task ended before the task was done. Other tasks are not concerned.
class MULTIFORK_API WorkerDied : public Error {
public:
    explicit WorkerDied(WorkerEnd end);
    WorkerDied(WorkerEnd end, std::string message);

    [[nodiscard]] int pid() const noexcept { return end_.pid; }
    /// 0 when no signal ended it: it called exit().
    [[nodiscard]] int signal() const noexcept { return end_.exitcode < 0 ? -end_.exitcode : 0; }
    [[nodiscard]] int exitcode() const noexcept { return end_.exitcode; }
    [[nodiscard]] std::size_t task_index() const noexcept { return end_.task; }
    [[nodiscard]] const std::string& worker_name() const noexcept { return end_.name; }

private:
    WorkerEnd end_;
};

/// A task that ran longer than its limit; its worker was killed.
class MULTIFORK_API TaskTimedOut : public WorkerDied {
public:
    TaskTimedOut(WorkerEnd end, std::string message);
};

/// A pool that cannot go on: the initializer threw, workers die before they are ready, or a worker
/// died and the pool was told to break then.
class MULTIFORK_API BrokenPool : public Error {
public:
    explicit BrokenPool(std::string message);
};

/// The same, of a Pool or a ProcessPoolExecutor.
class MULTIFORK_API BrokenProcessPool : public BrokenPool {
public:
    explicit BrokenProcessPool(std::string message);
};

/// The same, of a ThreadPool or a ThreadPoolExecutor.
class MULTIFORK_API BrokenThreadPool : public BrokenPool {
public:
    explicit BrokenThreadPool(std::string message);
};

/// get() of a future whose task was cancelled, or of a pool that was terminated before it was done.
class MULTIFORK_API Cancelled : public Error {
public:
    explicit Cancelled(std::string message);
};

/// A wait that throws when its time runs out: as_completed(), map() of executors, and Parallel with
/// threads, which have no other way to say it.
class MULTIFORK_API TimedOut : public Error {
public:
    explicit TimedOut(std::string message);
};

/// A result for a promise that has one already; join() of a pool that is open.
class MULTIFORK_API InvalidState : public Error {
public:
    explicit InvalidState(std::string message);
};

/// What is known about the place where an exception was thrown, if it came from another process: a
/// standard exception arrives with its own type, and has this with it.
[[nodiscard]] MULTIFORK_API std::optional<RemoteError> remote_cause(const std::exception& error);
[[nodiscard]] MULTIFORK_API std::optional<RemoteError> remote_cause(std::exception_ptr error);

} // namespace multifork
