#pragma once

#include <multifork/platform/export.hpp>
#include <multifork/pool/map_job.hpp>
#include <multifork/pool/pool_options.hpp>
#include <multifork/pool/task.hpp>
#include <multifork/process/process.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace multifork::detail {

/// Makes the worker for a seat; be_worker() is what it runs.
using MakeWorker = std::function<Process(ProcessOptions, const PoolTable&, std::uint32_t seat,
                                         std::uint64_t most_tasks)>;

/// \throws InvalidArgument
MULTIFORK_API void check_pool_options(const PoolOptions& options);

/// The part of a Pool that knows no types: its workers, its table, and the thread that collects.
///
/// \threads safe
class MULTIFORK_API PoolCore : public std::enable_shared_from_this<PoolCore> {
public:
    /// Starts the workers, then the thread.
    [[nodiscard]] static std::shared_ptr<PoolCore>
    start(std::int64_t workers, const PoolOptions& options, MakeWorker make);
    ~PoolCore();
    PoolCore(const PoolCore&) = delete;
    PoolCore& operator=(const PoolCore&) = delete;

    /// \throws InvalidState when the pool is closed or terminated; BrokenPool; ProcessError in
    /// another process than the one that made it
    void check_open() const;
    /// Hands a task out, now or when there is room. \throws as check_open()
    void submit(std::shared_ptr<PoolTask> task);
    void submit_map(const std::shared_ptr<MapJob>& job);
    /// Takes a task back that nobody has taken. \return false when somebody has
    bool withdraw(PoolTask& task);
    [[nodiscard]] bool has_begun(const PoolTask& task) const;
    /// Those that no worker has taken, as far as can be seen.
    [[nodiscard]] std::vector<std::shared_ptr<PoolTask>> waiting() const;

    void close();
    void terminate();
    /// \throws InvalidState while the pool is open
    void join();
    /// Terminates and joins; does nothing in a forked child.
    void leave() noexcept;

    /// The first bytes of each task with this function.
    [[nodiscard]] static std::span<const std::byte>
    function_bytes(TaskFunction function, std::atomic<const FunctionBytes*>& known) {
        // acquire: pairs with the exchange in know_function()
        const FunctionBytes* const first = known.load(std::memory_order_acquire);
        return first != nullptr ? first->bytes : know_function(function, known);
    }
    [[nodiscard]] const PoolTable& table() const noexcept;
    [[nodiscard]] std::size_t workers() const noexcept;
    [[nodiscard]] const PoolOptions& options() const noexcept;
    [[nodiscard]] std::vector<ProcessHandle> processes() const;
    [[nodiscard]] std::string to_string() const;

private:
    [[nodiscard]] static std::span<const std::byte>
    know_function(TaskFunction function, std::atomic<const FunctionBytes*>& known);

    struct Impl;
    explicit PoolCore(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// Where the bytes of this function are known, when it has been submitted once.
template <TaskFunction function>
inline constinit std::atomic<const FunctionBytes*> known_bytes{nullptr};

template <TaskFunction function>
[[nodiscard]] std::span<const std::byte> bytes_of_function() {
    return PoolCore::function_bytes(function, known_bytes<function>);
}

} // namespace multifork::detail
