#pragma once

#include <multifork/error.hpp>
#include <multifork/pool/error.hpp>
#include <multifork/pool/thread_core.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace multifork::detail {

/// Threads that take tasks from one row.
///
/// All that they share lies under one mutex, but for two words that are asked in between: how many
/// tasks are unfinished, and whether to go on with a task that has many turns. A task is counted as
/// finished before its future is ready: who waits for each task before the next one needs no second
/// thread.
struct ThreadCore::Impl {
    enum class Life : std::uint8_t { open, closed, terminated, broken };
    using Task = std::shared_ptr<ThreadTask>;
    using Self = std::shared_ptr<ThreadCore>;

    explicit Impl(ThreadCoreOptions the_options) : options(std::move(the_options)) {}

    // Constant:
    const ThreadCoreOptions options;
    const int owner_pid = ::getpid();
    const std::size_t most = static_cast<std::size_t>(options.threads);

    // Written under the mutex:
    mutable std::mutex mutex;
    std::condition_variable more;  ///< tasks, or another life
    std::condition_variable fewer; ///< threads
    std::atomic<Life> life{Life::open};
    std::string why_broken;
    std::deque<Task> row;
    std::vector<std::thread> threads; ///< also those that have ended, until they are joined
    std::thread last_lost;            ///< the last that ended before its time
    std::vector<PoolThread> alive;
    std::size_t started = 0;
    std::atomic<std::size_t> unfinished{0}; ///< grows under the mutex

    void check_process() const {
        if (owner_pid != ::getpid())
            throw ProcessError(std::errc::operation_not_permitted,
                               fmt::format("a pool of threads is used in another process than the "
                                           "one that made it (pid {}), which alone has them; make "
                                           "one in this process",
                                           owner_pid));
    }
    void check_open_locked() const {
        switch (life.load()) {
        case Life::open:
            break;
        case Life::closed:
            throw InvalidState("the pool was closed: it takes no more tasks");
        case Life::terminated:
            throw InvalidState("the pool was terminated: it takes no more tasks");
        case Life::broken:
            throw BrokenThreadPool(why_broken);
        }
    }
    /// Why a task is not begun, or not gone on with. Under the mutex.
    [[nodiscard]] std::exception_ptr why_dropped(Life in) const {
        if (in == Life::broken)
            return std::make_exception_ptr(BrokenThreadPool(why_broken));
        return std::make_exception_ptr(
            Cancelled("the pool was terminated before this task was done"));
    }
    [[nodiscard]] bool drops() const { return life.load() >= Life::terminated; }

    // ---- under the mutex
    void start_thread(const Self& self);
    /// As many as there is work for. \throws BrokenThreadPool when there is none at all
    void start_missing(const Self& self);
    /// Unlocks. What waits in the row fails.
    void end_life(Life how, std::unique_lock<std::mutex>& lock);

    // ---- a thread
    [[nodiscard]] bool is_here() const noexcept; ///< the caller is one of them
    void live(const Self& self, const std::string& name);
    void initialise(const std::string& name);
    void work(const Self& self, const std::string& name);
    void run(const Self& self, const Task& task, const std::string& name);
    void lost(const Self& self, const Task& task, const std::string& name);
    /// Of a thread that ends before its time. \param rest  the task, if it has more to do
    /// \param before  gets the one of these that nobody has joined yet
    void hand_over(const Self& self, const Task& rest, std::thread& before);
    /// Under the mutex.
    void leave_the_living();
};

} // namespace multifork::detail
