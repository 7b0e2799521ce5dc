#pragma once

#include <multifork/arena/crossing.hpp>
#include <multifork/arena/object.hpp>
#include <multifork/channel/codec.hpp>
#include <multifork/core/task_table.hpp>
#include <multifork/platform/export.hpp>
#include <multifork/process/target.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <vector>

/// \file
/// \internal What a task is, on either side. Its bytes, in the slot or in a block of the table:
///
///   u32 length | the function that runs it (write_function) | what that function reads

namespace multifork::detail {

class MapJob;
class PoolTable;

/// A task in the hands of a worker.
struct TaskRun {
    std::span<std::byte> bytes;      ///< all of it; what it reads was written by the parent
    std::span<const std::byte> rest; ///< behind the function
    std::uint64_t first = 0;         ///< which items of it; of a map, at first, which share
    std::uint64_t count = 0;
    std::vector<std::byte>& result; ///< what the parent's task gets in done()
    std::uint64_t item = 0;         ///< the one in work: an exception says it

    // Of a share in a map:
    const PoolTable& pool;
    bool limited = false;    ///< its chunks have a deadline
    std::uint64_t left = 0;  ///< how many tasks this worker may do yet
    std::uint64_t done = 1;  ///< how many of them these were
    bool come_again = false; ///< another worker is to go on with it
};
using TaskFunction = void (*)(TaskRun&);

/// The first bytes of a task: how long the rest of them is, and the function. They are made once
/// for each function, and stay.
struct FunctionBytes {
    std::vector<std::byte> bytes;
};

/// A buffer that the thread uses again and again. Who needs one while another is out, in a
/// serialize() that submits, gets one of his own.
class MULTIFORK_API Scratch {
public:
    Scratch() noexcept;
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    [[nodiscard]] std::vector<std::byte>& operator*() const noexcept { return bytes_; }
    [[nodiscard]] std::vector<std::byte>* operator->() const noexcept { return &bytes_; }

private:
    mutable std::vector<std::byte> bytes_;
};

/// A block of shared memory that belongs to a pool's table as long as this lives.
class MULTIFORK_API TaskBlock {
public:
    /// \param cargo  what the bytes bring along, if anything \throws OutOfSharedMemory
    TaskBlock(arena::Object table, std::size_t bytes);
    ~TaskBlock();
    TaskBlock(const TaskBlock&) = delete;
    TaskBlock& operator=(const TaskBlock&) = delete;

    [[nodiscard]] std::byte* data() const noexcept;
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
    /// The bytes are written: from here on any thread may free it. Call it once, in the thread that
    /// made it.
    void publish(const arena::Cargo& cargo);

private:
    arena::Object table_;
    std::uint64_t offset_ = 0;
    std::uint64_t position_ = 0;
    std::size_t bytes_;
    bool published_ = false;
};

/// The bytes of a task that goes into a slot, for as long as there may be none: few of them lie
/// here.
class TaskBytes {
public:
    /// Room for so many. What was there is gone.
    [[nodiscard]] std::byte* make(std::size_t size) {
        size_ = static_cast<std::uint32_t>(size);
        far_ = size > near_.size() ? std::make_unique_for_overwrite<std::byte[]>(size) : nullptr;
        return far_ != nullptr ? far_.get() : near_.data();
    }
    [[nodiscard]] std::span<const std::byte> get() const noexcept {
        return {far_ != nullptr ? far_.get() : near_.data(), size_};
    }

private:
    std::unique_ptr<std::byte[]> far_;
    std::uint32_t size_ = 0;
    std::array<std::byte, 84> near_;
};

/// A task in the hands of the parent.
class MULTIFORK_API PoolTask {
public:
    PoolTask() = default;
    virtual ~PoolTask();
    PoolTask(const PoolTask&) = delete;
    PoolTask& operator=(const PoolTask&) = delete;

    /// \name By the collector's thread, one of them, once
    /// @{
    virtual void done(std::span<const std::byte> result) = 0;
    virtual void failed(std::exception_ptr error) noexcept = 0;
    /// @}
    /// Cancels its future if it has not begun. By any thread.
    virtual bool cancel() { return false; }

    // Set before it is submitted:
    TaskBytes bytes; ///< if they fit into a slot, or:
    std::shared_ptr<const TaskBlock> block;
    std::uint32_t first = 0;
    std::int64_t limit_ns = 0;   ///< 0: as long as it takes
    std::shared_ptr<MapJob> map; ///< if it is a share in one: `first` says which

    // Of the pool, under its mutex:
    enum class Place : std::uint8_t { nowhere, pending, slot, finished };
    Place place = Place::nowhere;
    std::uint32_t slot = 0;
    std::size_t index = 0; ///< the number of the task
    unsigned tries = 0;
    bool late = false;            ///< its worker was killed because its time was up,
    std::uint64_t late_chunk = 0; ///< or that of this chunk
};

/// A block with those bytes, behind their length, which the calling thread owns.
/// \throws OutOfSharedMemory
[[nodiscard]] MULTIFORK_API std::uint64_t make_result_block(const PoolTable& pool,
                                                            std::span<const std::byte> bytes,
                                                            const arena::Cargo& cargo);
/// The bytes of such a block. \throws CorruptSharedMemory
[[nodiscard]] MULTIFORK_API std::span<const std::byte> read_result_block(const PoolTable& pool,
                                                                         std::uint64_t block);

/// Writes down the current exception, for the parent.
MULTIFORK_API void write_error(std::vector<std::byte>& bytes, std::uint64_t item) noexcept;
/// The exception that write_error() wrote down: of its own type if that is a standard one, with a
/// RemoteError nested in it; else the RemoteError.
[[nodiscard]] MULTIFORK_API std::exception_ptr read_error(std::span<const std::byte> bytes);

/// A handle on the table, to be given to workers.
class MULTIFORK_API PoolTable {
public:
    explicit PoolTable(core::TaskShape shape);
    [[nodiscard]] core::TaskTable view() const noexcept;
    [[nodiscard]] const arena::Object& object() const noexcept { return object_; }

    static constexpr arena::Kind crossing_kind = arena::Kind::tasks;
    [[nodiscard]] arena::Crossing crossing() const;
    static PoolTable arrive(const arena::Crossing& crossing);

private:
    PoolTable(arena::Object object, core::TaskShape shape) noexcept;
    arena::Object object_;
    core::TaskShape shape_;
};

/// What a worker does all its life.
MULTIFORK_API void be_worker(const PoolTable& pool, std::uint32_t seat, std::uint64_t most_tasks,
                             const std::function<void()>& initializer);

} // namespace multifork::detail
