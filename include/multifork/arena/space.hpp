#pragma once

#include <multifork/liveness/domain.hpp>
#include <multifork/platform/export.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

// A space is one piece of shared memory with everything that objects in it need: a registry of
// threads, a table of processes, and a heap of blocks. The arena is one, and so is each named
// segment.

namespace multifork::arena {

struct SegmentHeader;

/// What lies in a block; whoever frees or inspects a block knows by this what is in it.
enum class Kind : std::uint32_t {
    bytes = 1,      ///< a message, owned by a thread or by a queue
    lock,           ///< core::LockCell
    semaphore,      ///< core::SemaphoreCell
    value,          ///< a lock and one or two copies of a T
    ring,           ///< core::RingHeader with payloads in place
    message_ring,   ///< core::RingHeader whose slots may own blocks
    board,          ///< what a child process tells its parent
    trace,          ///< the lanes of a lab::Trace
    event,          ///< core::EventCell
    rlock,          ///< a lock and how often its owner holds it
    condition,      ///< core::ConditionCell
    barrier,        ///< core::BarrierCell
    rwlock,         ///< core::RwLockCell
    array,          ///< elements in a row, with or without a lock before them
    leases,         ///< core::LeaseHeader with payloads in place
    message_leases, ///< core::LeaseHeader whose slots may own blocks
    shared_memory,  ///< a user's bytes
    shared_list,    ///< items of several types in slots of fixed size
    pipe,  ///< core::PipeCell: a ledger, then a message ring; lives while somebody holds an end
    hold,  ///< keeps another block for a message or a process
    list,  ///< core::ContainerHeader; owns a core::ListTable and its elements' blocks
    dict,  ///< core::ContainerHeader; owns a core::DictTable and its items' blocks
    tasks, ///< core::TaskHeader of a pool; owns the blocks of tasks and results
};

/// How much of a space is used; for tests, demos and the curious.
struct SpaceUsage {
    std::uint64_t bytes_used = 0; ///< in blocks that are in use, headers included
    std::uint64_t blocks_used =
        0; ///< objects and messages, those that wait for a process to end included
    std::uint64_t bytes_carved = 0; ///< ever handed out; what is free among them is used again
    std::uint64_t bytes_limit = 0;
};

/// One process's view of a space. Thread-safe; after a fork the child's view is good as well.
class MULTIFORK_API Space {
public:
    ~Space();
    Space(const Space&) = delete;
    Space& operator=(const Space&) = delete;

    [[nodiscard]] liveness::Domain& domain() noexcept;

    /// Allocates a block that the calling thread owns until it is given to somebody: if the thread
    /// dies first, the block is freed. Recycled bytes are zeroed, except for Kind::bytes. \return
    /// the offset of the first usable byte, a multiple of 64 \throws OutOfSharedMemory
    [[nodiscard]] std::uint64_t allocate(std::size_t bytes, Kind kind);
    /// Frees a block that the calling thread owns.
    void free(std::uint64_t offset) noexcept;

    /// COMMITs a block of the calling thread to this process: it lives until drop(), and after that
    /// as long as a process lives that was forked while the object existed.
    void give_to_process(std::uint64_t offset);
    /// Undoes give_to_process(). A call by another process than the one that owns the block does
    /// nothing.
    void drop(std::uint64_t offset) noexcept;

    /// COMMITs a block of the calling thread to the queue at `ring_offset`, as its item number
    /// `position`.
    void give_to_ring(std::uint64_t offset, std::uint64_t ring_offset,
                      std::uint64_t position) noexcept;
    /// Takes a block from the queue at `ring_offset`. \return false when the queue does not own it,
    /// or owns it as another item than that
    [[nodiscard]] bool take_from_ring(std::uint64_t offset, std::uint64_t ring_offset,
                                      std::uint64_t position) noexcept;

    /// Frees every block of the container at `ring_offset` that is not among `in_use`, which is
    /// sorted: what a dead process was just adding, or taking away. Costs a walk over all blocks.
    void keep_only(std::uint64_t ring_offset, std::span<const std::uint64_t> in_use) noexcept;

    /// The bytes at an offset that allocate() gave.
    [[nodiscard]] std::byte* at(std::uint64_t offset) const noexcept { return base_ + offset; }
    /// The same for an offset read from shared memory. \throws CorruptSharedMemory
    [[nodiscard]] std::byte* checked(std::uint64_t offset, std::size_t bytes) const;

    /// Frees what dead threads and processes have left behind.
    void sweep() noexcept;
    [[nodiscard]] SpaceUsage usage() const;

    /// The name under which the process of the thread `name` goes, "" if it is unknown or dead.
    [[nodiscard]] std::string process_name(liveness::ThreadWord name) const;

    class Impl;
    [[nodiscard]] Impl& impl() noexcept { return *impl_; }
    explicit Space(std::unique_ptr<Impl> impl);

protected:
    /// For a derived space that unmaps later than it dies.
    [[nodiscard]] Impl* release() noexcept;

private:
    std::unique_ptr<Impl> impl_;
    std::byte* base_;
};

/// The arena of this process tree, made at first use: a sealed memfd, inherited by fork.
///
/// Its size is a reservation of addresses, not of memory: 64 GiB unless MULTIFORK_ARENA_BYTES in
/// the environment says otherwise, and less where the address space is limited.
[[nodiscard]] MULTIFORK_API Space& tree_space();

/// How much of the arena is used now.
[[nodiscard]] MULTIFORK_API SpaceUsage arena_usage();

} // namespace multifork::arena
