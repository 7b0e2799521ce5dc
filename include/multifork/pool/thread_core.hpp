#pragma once

#include <multifork/platform/export.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace multifork {

/// A thread of a ThreadPool or ThreadPoolExecutor.
struct PoolThread {
    std::string name; ///< "ThreadPool-1_0"; the system shows 15 characters of it
    std::thread::id id;
};

} // namespace multifork

namespace multifork::detail {

/// Work in the row of a pool of threads.
///
/// A thread calls run(), and failed() with what that threw, as long as they say so; then tell().
/// Or, in place of all that, somebody calls drop().
class MULTIFORK_API ThreadTask {
public:
    ThreadTask() = default;
    virtual ~ThreadTask();
    ThreadTask(const ThreadTask&) = delete;
    ThreadTask& operator=(const ThreadTask&) = delete;

    /// \return whether it is to be called again
    virtual bool run() = 0;
    virtual bool failed(std::exception_ptr error) noexcept = 0;
    /// Makes the futures ready.
    virtual void tell() = 0;
    /// It is not begun, or not gone on with.
    virtual void drop(std::exception_ptr error) noexcept = 0;
    /// Cancels its future if it has not begun.
    virtual bool cancel() = 0;
};

struct ThreadCoreOptions {
    std::int64_t threads = 0;
    std::string name; ///< of the threads, before "_0"
    bool on_demand = false;
    std::function<void()> initializer;
};

/// The part of a ThreadPool that knows no types: its threads, and one row of tasks for all of them,
/// under a mutex.
///
/// \threads safe
class MULTIFORK_API ThreadCore : public std::enable_shared_from_this<ThreadCore> {
public:
    /// \throws InvalidArgument; BrokenThreadPool when a thread cannot be started
    [[nodiscard]] static std::shared_ptr<ThreadCore> start(ThreadCoreOptions options);
    ~ThreadCore();
    ThreadCore(const ThreadCore&) = delete;
    ThreadCore& operator=(const ThreadCore&) = delete;

    /// \throws InvalidState when the pool is closed or terminated; BrokenThreadPool; ProcessError
    /// in another process than the one that made it
    void check_open() const;
    /// \throws as check_open(); BrokenThreadPool when there is no thread and none can be started
    void submit(std::shared_ptr<ThreadTask> task);
    void submit(std::vector<std::shared_ptr<ThreadTask>> tasks);
    /// Those that no thread has taken.
    [[nodiscard]] std::vector<std::shared_ptr<ThreadTask>> waiting() const;

    void close();
    void terminate();
    /// \throws InvalidState while the pool is open; WouldDeadlock in one of its threads
    void join();
    /// Terminates and joins; does nothing in a forked child.
    void leave() noexcept;

    [[nodiscard]] std::size_t workers() const noexcept;
    [[nodiscard]] std::vector<PoolThread> threads() const;
    [[nodiscard]] std::string to_string() const;

private:
    struct Impl;
    explicit ThreadCore(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// "ThreadPool-7": a number of its own for each.
[[nodiscard]] MULTIFORK_API std::string numbered_pool_name();

} // namespace multifork::detail
