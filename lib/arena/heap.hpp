#pragma once

#include "arena/layout.hpp"
#include "platform/compiler_barrier.hpp"

#include <multifork/core/pipe_cell.hpp>
#include <multifork/liveness/domain.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace multifork::liveness {
class Sleep;
}

namespace multifork::arena {

inline constexpr std::uint64_t page_bytes = 4096;

[[nodiscard]] constexpr std::uint64_t page_up(std::uint64_t n) noexcept {
    return (n + page_bytes - 1) / page_bytes * page_bytes;
}

using platform::compiler_barrier;

/// The allocator over one segment's blocks (layout.hpp): first what is shared, then who may do
/// what.
///
/// All operations take the heap's lock, for which a thread needs a name: see attached(). A death
/// inside any of them leaves blocks whose `owner` words say the truth, and derived lists that the
/// next locker makes anew.
class Heap {
public:
    /// \param fd  of the segment, to have pages set aside; may be closed later by the user's own
    /// doing
    Heap(std::byte* base, const SegmentShape& shape, int fd, liveness::Domain& domain) noexcept;

    [[nodiscard]] std::uint64_t allocate(std::size_t bytes, Kind kind);
    void free_own(std::uint64_t block) noexcept;

    void give_to_process(std::uint64_t block, ProcessId process) noexcept;
    void drop(std::uint64_t block, ProcessId process) noexcept;
    void give_to_ring(std::uint64_t block, std::uint64_t ring_block,
                      std::uint64_t position) noexcept;
    bool take_from_ring(std::uint64_t block, std::uint64_t ring_block,
                        std::uint64_t position) noexcept;

    /// Frees the blocks of a container that are not among `in_use`: sorted, and counted as its own
    /// words count, from behind the blocks' headers.
    void keep_only(std::uint64_t ring_block, std::span<const std::uint64_t> in_use) noexcept;

    /// \name The ends of pipes; see core/pipe_cell.hpp and pipes.cpp
    /// @{
    /// An entry of a ledger, as who made it knows it.
    struct PipeEntry {
        std::uint32_t index = 0;
        std::uint64_t word = 0; // 0: none
    };
    /// Takes an end for the process. \return no entry when the ledger is full of living processes
    PipeEntry join_pipe(std::uint64_t block, ProcessId process, std::uint64_t end) noexcept;
    /// Takes an end that travels: its sender must live and its entry stand, which then goes.
    /// \return no entry when it does not, or when no such pipe is there
    PipeEntry adopt_pipe(std::uint64_t block, ProcessId process, PipeEntry from) noexcept;
    /// Gives an end up. Frees the pipe if nobody holds one any more.
    void leave_pipe(std::uint64_t block, PipeEntry entry) noexcept;
    /// Who holds that end, as far as a look without the lock can tell.
    struct Holders {
        std::uint32_t living = 0;
        /// Some of them have no thread whose beacon tells of their end: look again, and again.
        bool unwatched = false;
    };
    /// \param sleep  is to wake when one of them ends; may be null
    [[nodiscard]] Holders pipe_holders(const core::PipeCell& pipe, core::PipeRole role,
                                       liveness::Sleep* sleep) const noexcept;
    /// Whether certainly nobody holds that end: nobody will ever again.
    /// \throws TooManyThreads, Error
    [[nodiscard]] bool pipe_is_deserted(std::uint64_t block, core::PipeRole role);
    /// @}

    /// \name Holds; see holds.cpp
    /// @{
    /// One use of a block: which object is meant, should the block be used again.
    struct ObjectUse {
        std::uint64_t block = 0;
        std::uint64_t serial = 0;
    };
    /// Keeps an object as long as a message is there, whose block the calling thread owns.
    /// \return false when there is no such object any more \throws OutOfSharedMemory
    [[nodiscard]] bool hold_for_message(std::uint64_t message, ObjectUse target);
    /// Keeps an object until the process drops the hold, or ends.
    /// \return its block; 0 when there is no such object any more \throws OutOfSharedMemory
    [[nodiscard]] std::uint64_t hold_for_process(ProcessId process, ObjectUse target);
    /// Makes a block of the process one of the calling thread's. \return false when it was not
    [[nodiscard]] bool take_from_process(std::uint64_t block, ProcessId process) noexcept;
    [[nodiscard]] bool is_in_use(ObjectUse use) const noexcept;
    /// @}

    /// Frees what the dead have left. Costs a walk over all blocks.
    void sweep() noexcept;

    /// Makes a process record.
    /// \param parent_pid  of the process that is about to fork, 0 for one that registers itself
    /// \param pid         0 for a child to be
    /// \throws TooManyThreads
    ProcessId begin_process(std::uint32_t parent_pid, std::uint32_t pid, Birth birth);
    /// The fork that was to come is over, or was given up: what is made from now on the child does
    /// not have.
    void end_birth(ProcessId process) noexcept;
    /// Ends a record, unless it has come to mean another process: it is gone, or was never made.
    void end_process(ProcessId process) noexcept;
    /// The fork that it was made for has probably failed: unless the child says its pid soon, it is
    /// gone, though its parent lives.
    void doubt_birth(ProcessId process) noexcept;
    /// Its pid; unless the process has ended meanwhile, and the record is that of another.
    void say_pid(ProcessId process, std::uint32_t pid) noexcept;
    [[nodiscard]] bool is_current(ProcessId process) const noexcept {
        return process.serial != 0 && records()[process.record].serial.load() == process.serial;
    }

    /// Settles the semaphores in which the calling thread `name` holds permits. Waits for those
    /// that are inside one, without the heap's lock.
    void settle_semaphores(liveness::ThreadWord name) noexcept;

    [[nodiscard]] SpaceUsage usage();
    /// Whether the descriptor of the segment is still that: a program may have closed all its own.
    [[nodiscard]] bool fd_is_ours() const noexcept;

    [[nodiscard]] SegmentHeader& segment() const noexcept {
        return *reinterpret_cast<SegmentHeader*>(base_);
    }
    [[nodiscard]] HeapHeader& header() const noexcept {
        return *reinterpret_cast<HeapHeader*>(base_ + 512);
    }
    [[nodiscard]] ProcessRecord* records() const noexcept {
        return reinterpret_cast<ProcessRecord*>(base_ + process_table_offset(shape_.thread_slots));
    }
    /// Records from here on are free.
    [[nodiscard]] std::uint32_t used_records() const noexcept {
        // relaxed: whoever has come to know of a record knows of its place by the same way, or of a
        // later sweep, which found it free
        const std::uint32_t high = header().process_high_water.load(std::memory_order_relaxed);
        return high < shape_.process_slots ? high : shape_.process_slots;
    }
    [[nodiscard]] BlockHeader& block(std::uint64_t offset) const noexcept {
        return *reinterpret_cast<BlockHeader*>(base_ + offset);
    }
    /// The owner word that means "the queue in that block", for this use of the block.
    [[nodiscard]] std::uint64_t owner_ring(std::uint64_t ring_block) const noexcept {
        return (ring_block / block_unit) << 32 | ring_tag |
               (block(ring_block).serial & (ring_tag - 1));
    }
    /// The size of the block that begins at this offset, as far as can be told from garbage; 0:
    /// none does. To be asked for once and kept: the next look may find another one.
    [[nodiscard]] std::uint64_t size_at(std::uint64_t offset) const noexcept;
    [[nodiscard]] bool plausible(std::uint64_t offset) const noexcept {
        return size_at(offset) != 0;
    }
    /// Between these offsets lie the blocks.
    [[nodiscard]] std::uint64_t first_block() const noexcept { return begin_; }
    [[nodiscard]] std::uint64_t end_of_blocks() const noexcept { return top(); }

private:
    class Locked;
    /// Whether the calling thread has a name here, or gets one. Without one (no slot is left, or no
    /// memory for its names) it cannot take the lock: what must not throw then does nothing, and
    /// what it leaves is swept when the process has ended.
    [[nodiscard]] bool attached() const noexcept;

    [[nodiscard]] std::uint64_t take_free(SizeClass wanted) noexcept;
    [[nodiscard]] std::uint64_t carve(SizeClass wanted);
    [[nodiscard]] std::uint64_t take_larger(SizeClass wanted) noexcept;
    [[nodiscard]] std::uint64_t take_any(SizeClass wanted) noexcept;
    void give_back_rest(std::uint64_t at, std::uint64_t size, SizeClass wanted) noexcept;
    void join_free() noexcept;
    void divide_free(std::uint64_t from, std::uint64_t end) noexcept;
    void reserve(std::uint64_t end);
    [[nodiscard]] const char* how_to_get_more() const noexcept;
    void put_free(std::uint64_t offset) noexcept;
    void retire_or_free(std::uint64_t offset) noexcept;
    void free_messages_of(std::uint64_t ring_block) noexcept;
    void free_all_of(std::uint64_t ring_block) noexcept;
    void free_elements_of(std::uint64_t container) noexcept;
    [[nodiscard]] HoldRecord& hold_in(std::uint64_t block) const noexcept {
        return *reinterpret_cast<HoldRecord*>(base_ + block + sizeof(BlockHeader));
    }
    [[nodiscard]] bool name_target(std::uint64_t hold, ObjectUse target) noexcept;
    void let_go(std::uint64_t hold) noexcept;
    void free_holds_of(std::uint64_t message) noexcept;
    [[nodiscard]] bool is_orphan(std::uint64_t hold) const noexcept;
    [[nodiscard]] bool still_reachable(std::uint64_t block) const noexcept;
    [[nodiscard]] bool is_pipe(std::uint64_t block) const noexcept;
    [[nodiscard]] core::PipeCell& pipe_in(std::uint64_t block) const noexcept {
        return *reinterpret_cast<core::PipeCell*>(base_ + block + sizeof(BlockHeader));
    }
    enum class Life : std::uint8_t { gone, watched, unwatched };
    [[nodiscard]] Life life_of(std::uint64_t pipe_entry) const noexcept;
    [[nodiscard]] bool anybody_holds(const core::PipeCell& pipe) const noexcept;
    [[nodiscard]] PipeEntry put_pipe_entry(core::PipeCell& pipe, std::uint64_t word) noexcept;
    void free_unreachable() noexcept;
    void free_unreachable_once() noexcept;
    void rebuild() noexcept;
    [[nodiscard]] bool is_gone(const ProcessRecord& record) const noexcept;
    void sweep_locked() noexcept;
    [[nodiscard]] bool is_settled(std::uint64_t block, std::uint64_t size,
                                  liveness::ThreadWord name) noexcept;
    /// Goes through all blocks, from the first to the last: `visit(offset, size)`.
    template <class Visit>
    void walk(Visit visit) const noexcept {
        std::uint64_t size = 0;
        for (std::uint64_t at = begin_; (size = size_at(at)) != 0; at += size)
            visit(at, size);
    }

    [[nodiscard]] int set_pages_aside(std::uint64_t from, std::uint64_t length) const noexcept;
    [[nodiscard]] std::uint64_t top() const noexcept {
        // relaxed: whoever has come to know of a block knows of its top by the same way
        const std::uint64_t found = header().top.load(std::memory_order_relaxed);
        return found < shape_.bytes ? found : shape_.bytes;
    }

    std::byte* base_;
    SegmentShape shape_;
    std::uint64_t begin_; // of the blocks
    int fd_;
    std::uint64_t fd_device_ =
        0; // what fd_ must still be: a child may have closed and reused the number
    std::uint64_t fd_inode_ = 0;
    bool released_ = false; // under the lock: a retired object has lost its last hold
    liveness::Domain& domain_;
};

} // namespace multifork::arena
