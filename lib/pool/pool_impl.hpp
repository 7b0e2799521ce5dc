#pragma once

#include "pool/own_process.hpp"

#include <multifork/core/task_table.hpp>
#include <multifork/pool/error.hpp>
#include <multifork/pool/map_job.hpp>
#include <multifork/pool/pool_core.hpp>

#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace multifork::detail {

/// A pool in the memory of its process.
///
/// Two kinds of threads meet here, under the one mutex: those that submit, and the collector, which
/// alone completes tasks, and starts and buries workers. What users wrote (callbacks, their
/// deserialisers) runs in the collector without the mutex.
struct PoolCore::Impl {
    enum class Life : std::uint8_t { open, closed, terminated, broken };

    struct Worker {
        std::optional<Process> process;
        std::uint32_t done_head = 0; // entries of its ring that were read
        bool seen_ready = false;
        bool was_late = false; // killed, because its task's time was up
        bool to_start = false; // there is to be one, as soon as the mutex is free
    };
    /// A task with what came of it, for when the mutex is not held.
    struct Finished {
        std::shared_ptr<PoolTask> task;
        std::exception_ptr error;               // or:
        std::span<const std::byte> result;      // where it lies, unless it is in
        std::uint64_t block = 0;                // this, which is now the collector's
        std::optional<std::uint32_t> slot = {}; // is free when the result was read
        bool threw = false;                     // the bytes are an exception
    };

    Impl(PoolTable the_table, const PoolOptions& the_options, MakeWorker make, StartMethod method);

    // Constant:
    const PoolTable table;
    const core::TaskTable view;
    const PoolOptions options;
    const MakeWorker make_worker;
    const StartMethod method;
    const OwnProcess owner;
    sigset_t signals{}; // of the thread that made the pool: what workers are to have

    // Under the mutex:
    mutable std::mutex mutex;
    std::condition_variable collector_changed;
    Life life = Life::open;
    std::string why_broken;
    bool collecting = false; // the collector is there, and known as one of the library's threads
    bool ended = false;      // no worker is left, and all tasks are completed; by the collector
    std::vector<Worker> workers;
    std::vector<std::shared_ptr<PoolTask>> in_slot; // by slot
    std::vector<std::uint32_t> free_slots;
    std::deque<std::shared_ptr<PoolTask>> pending;
    std::size_t unfinished = 0; // not completed, or not yet heard of it
    std::size_t limited = 0;    // tasks in slots that have a limit
    std::size_t next_index = 0;
    unsigned deaths_at_start = 0; // in a row
    bool stopping = false;        // the workers were told to end when nothing is queued
    bool told_to_end = false;     // by SIGTERM
    std::int64_t kill_at_ns = 0;  // when those that do not heed SIGTERM are killed; 0: never
    std::vector<std::shared_ptr<MapJob>> watched; // maps whose progress somebody wants

    // Of the collector's thread alone:
    std::vector<std::uint32_t> read_slots;          // to be freed at the next look
    std::vector<std::uint32_t> vacant;              // seats of workers that are to be started
    std::vector<std::shared_ptr<MapJob>> with_news; // their progress is to be told

    std::thread collector;
    std::thread::id collector_id; // set before anybody has the pool; join() writes to the other
    bool collector_joined = false;

    /// A child's copy may have been forked while another thread held the mutex.
    void check_process() const;

    // ---- under the mutex
    void check_open_locked() const;
    /// Hands a task out, now or when there is room. \return how many workers to wake
    std::size_t accept(std::shared_ptr<PoolTask> task);
    /// All of them, or none if it throws.
    std::size_t accept_all(const std::vector<std::shared_ptr<PoolTask>>& tasks);
    /// Of a pool that starts them on demand: whether there is more work than workers.
    [[nodiscard]] bool lacks_workers() const;
    /// Puts pending tasks into free slots. \return how many
    std::size_t fill_slots();
    void give_slot(std::uint32_t slot, std::shared_ptr<PoolTask> task);
    bool put(std::uint32_t slot, PoolTask& task);
    /// Queues the task of this slot once more.
    void put_again(std::uint32_t slot);
    void free_slot(std::uint32_t slot);
    /// The task of the slot is the caller's now; the slot is free when its result was read.
    std::shared_ptr<PoolTask> take_from_slot(std::uint32_t slot);
    /// When the task in the slot, or the chunk of a map that its worker is at, was begun.
    [[nodiscard]] std::int64_t began(std::uint32_t slot) const;

    // ---- the collector
    void collect();
    /// Whether a worker says that it is done with something. Needs no mutex.
    [[nodiscard]] bool any_done() const noexcept;
    /// Looks at everything once. \return whether there was anything
    bool look(std::vector<Finished>& finished);
    bool hear(std::uint32_t seat, std::vector<Finished>& finished);
    void take_result(std::uint32_t slot, std::vector<Finished>& finished);
    bool bury_dead(std::vector<Finished>& finished);
    /// Without the mutex there will be one.
    void want_worker(std::uint32_t seat);
    bool start_missing();
    void bury(std::uint32_t seat, std::vector<Finished>& finished);
    void give_up(std::uint32_t slot, const WorkerEnd& end, bool killed_late,
                 std::vector<Finished>& finished);
    void give_up_call(std::uint32_t slot, WorkerEnd end, bool killed_late,
                      std::vector<Finished>& finished);
    void give_up_chunk(std::uint32_t slot, WorkerEnd end, bool killed_late,
                       std::vector<Finished>& finished);
    [[nodiscard]] std::exception_ptr loss_of(const WorkerEnd& end, std::int64_t limit_ns,
                                             bool late) const;
    bool has_ended(Worker& worker, std::uint32_t seat) const;
    void kill_late();
    void break_pool(std::string why, std::vector<Finished>& finished);
    void fail_all(const std::exception_ptr& error, std::vector<Finished>& finished);
    /// \return whether it has just told them
    bool end_workers();
    [[nodiscard]] platform::Deadline next_look() const;
    [[nodiscard]] static std::string text_of(const std::exception_ptr& error);
    static void fail(std::shared_ptr<PoolTask> task, std::exception_ptr error,
                     std::vector<Finished>& finished);

    // ---- without the mutex
    void start_worker(std::uint32_t seat);
    /// Those that are wanted.
    void start_workers(std::vector<Finished>& finished);
    void complete(std::vector<Finished>& finished);
};

} // namespace multifork::detail
