#pragma once

#include "arena/layout.hpp"

#include <multifork/liveness/domain.hpp>

#include <cstddef>
#include <cstdint>

namespace multifork::arena {

/// The allocator over one segment's blocks (layout.hpp): first what is shared, then who may do
/// what.
///
/// All operations take the heap's lock, and a death inside any of them leaves blocks whose `owner`
/// words say the truth, and derived lists that the next locker makes anew.
class Heap {
public:
    /// \param fd  of the segment, to have pages set aside; may be closed later by the user's own
    /// doing
    Heap(std::byte* base, int fd, liveness::Domain& domain) noexcept
        : base_(base), fd_(fd), domain_(domain) {}

    [[nodiscard]] std::uint64_t allocate(std::size_t bytes, Kind kind);
    void free_own(std::uint64_t block) noexcept;

    void give_to_process(std::uint64_t block, std::uint64_t serial, std::uint32_t record) noexcept;
    void drop(std::uint64_t block, std::uint64_t serial, std::uint32_t record) noexcept;
    void give_to_ring(std::uint64_t block, std::uint64_t ring_block) noexcept;
    bool take_from_ring(std::uint64_t block, std::uint64_t ring_block) noexcept;

    /// Frees what the dead have left. Costs a walk over all blocks.
    void sweep() noexcept;

    /// Makes a process record for a child that is about to be forked. \return its index
    /// \throws TooManyThreads
    std::uint32_t begin_process(std::uint32_t parent_pid);
    /// Ends a record: the process is gone, or was never made.
    void end_process(std::uint32_t record) noexcept;
    /// Finds the record of a process by its pid and ends it.
    void end_process_of_pid(std::uint32_t pid) noexcept;

    /// Settles the semaphores in which `name` holds permits.
    void settle_semaphores(liveness::ThreadWord name) noexcept;

    [[nodiscard]] SpaceUsage usage() const noexcept;

    [[nodiscard]] SegmentHeader& segment() const noexcept {
        return *reinterpret_cast<SegmentHeader*>(base_);
    }
    [[nodiscard]] HeapHeader& header() const noexcept {
        return *reinterpret_cast<HeapHeader*>(base_ + 512);
    }
    [[nodiscard]] ProcessRecord* records() const noexcept {
        return reinterpret_cast<ProcessRecord*>(base_ +
                                                process_table_offset(segment().thread_slots));
    }
    [[nodiscard]] BlockHeader& block(std::uint64_t offset) const noexcept {
        return *reinterpret_cast<BlockHeader*>(base_ + offset);
    }
    /// The owner word that means "the queue in that block", for this use of the block.
    [[nodiscard]] std::uint64_t owner_ring(std::uint64_t ring_block) const noexcept {
        return (ring_block / block_unit) << 32 | ring_tag |
               (block(ring_block).serial & (ring_tag - 1));
    }
    /// Whether a block begins at this offset, as far as can be told from garbage.
    [[nodiscard]] bool plausible(std::uint64_t offset) const noexcept;

private:
    class Locked;

    [[nodiscard]] std::uint64_t take_free(SizeClass wanted) noexcept;
    [[nodiscard]] std::uint64_t carve(SizeClass wanted);
    [[nodiscard]] std::uint64_t take_larger(SizeClass wanted) noexcept;
    void reserve(std::uint64_t end);
    void put_free(std::uint64_t offset) noexcept;
    void retire_or_free(std::uint64_t offset) noexcept;
    void free_messages_of(std::uint64_t ring_block) noexcept;
    [[nodiscard]] bool still_reachable(const BlockHeader& block) const noexcept;
    void free_unreachable() noexcept;
    void rebuild() noexcept;
    void sweep_locked() noexcept;
    void end_locked(std::uint32_t record) noexcept;
    template <class Visit>
    void walk(Visit visit) const noexcept;

    std::byte* base_;
    int fd_;
    liveness::Domain& domain_;
};

} // namespace multifork::arena
