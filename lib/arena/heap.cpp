#include "arena/heap.hpp"

#include "arena/heap_lock.hpp"

#include <sys/stat.h>

#include <exception>

// What all parts of the heap share, and blocks going from owner to owner. Allocating, freeing and
// what happens after a death have files of their own.

namespace multifork::arena {
namespace {

constexpr auto relaxed = std::memory_order_relaxed; // under the heap's lock, if nothing is said

} // namespace

Heap::Heap(std::byte* base, const SegmentShape& shape, int fd, liveness::Domain& domain) noexcept
    : base_(base), shape_(shape), begin_(heap_offset(shape.thread_slots, shape.process_slots)),
      fd_(fd), domain_(domain) {
    struct stat status {};
    if (::fstat(fd, &status) != 0)
        return;
    fd_device_ = status.st_dev;
    fd_inode_ = status.st_ino;
}

std::uint64_t Heap::size_at(std::uint64_t offset) const noexcept {
    const std::uint64_t end = top();
    if (offset % block_unit != 0 || offset < begin_ || offset >= end ||
        end - offset < 2 * block_unit)
        return 0;
    // volatile: once, so that what is returned is what was checked
    const std::uint64_t size = *static_cast<const volatile std::uint64_t*>(&block(offset).size);
    return size >= 2 * block_unit && size <= end - offset && size_class(size).bytes == size ? size
                                                                                            : 0;
}

bool Heap::attached() const noexcept {
    try {
        static_cast<void>(liveness::enter(domain_));
        return true;
    } catch (const std::exception&) {
        return false;
    }
}

void Heap::give_to_process(std::uint64_t offset, ProcessId process) noexcept {
    Locked hold(*this);
    ++records()[process.record].objects;
    compiler_barrier();
    block(offset).owner.store(owner_process(process.serial), relaxed); // COMMIT
}

void Heap::give_to_ring(std::uint64_t offset, std::uint64_t ring_block,
                        std::uint64_t position) noexcept {
    // No lock: the block is the caller's, and the ring's lock is held.
    block(offset).position = position;
    // release: pairs with take_from_ring(). COMMIT.
    block(offset).owner.store(owner_ring(ring_block), std::memory_order_release);
}

bool Heap::take_from_ring(std::uint64_t offset, std::uint64_t ring_block,
                          std::uint64_t position) noexcept {
    if (!plausible(offset) ||
        block(offset).owner.load(std::memory_order_acquire) != owner_ring(ring_block) ||
        (block(offset).position != position && !MULTIFORK_MUTANT(any_position)))
        return false;
    block(offset).owner.store(liveness::enter(domain_), relaxed); // COMMIT
    return true;
}

SpaceUsage Heap::usage() {
    Locked hold(*this);
    return {header().bytes_used, header().blocks_used, top() - begin_, shape_.bytes - begin_};
}

} // namespace multifork::arena
