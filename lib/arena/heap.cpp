#include "arena/heap.hpp"

#include "arena/heap_lock.hpp"
#include "platform/system.hpp"

#include <multifork/arena/message_slot.hpp>
#include <multifork/core/ring.hpp>
#include <multifork/core/semaphore_cell.hpp>
#include <multifork/error.hpp>
#include <multifork/platform/mutant.hpp>

#include <fmt/core.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace multifork::arena {
namespace {

// Everything but `owner`, `serial` of a record and `pid` is read and written under the heap's lock.
constexpr auto relaxed = std::memory_order_relaxed;

// A message block above this gives its pages back when it is freed; below, keeping them warm is
// worth more.
constexpr std::uint64_t release_pages_above = 16ull << 20;
// Pages are set aside in steps, because each step is a system call.
constexpr std::uint64_t reserve_step = 256ull << 10;
constexpr std::uint64_t page_bytes = 4096;

void compiler_barrier() noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

std::uint64_t page_up(std::uint64_t n) {
    return (n + page_bytes - 1) / page_bytes * page_bytes;
}

} // namespace

template <class Visit>
void Heap::walk(Visit visit) const noexcept {
    const std::uint64_t top = header().top;
    for (std::uint64_t at = segment().heap_begin; at < top;) {
        const std::uint64_t size = block(at).size;
        if (size < 2 * block_unit || size > top - at)
            return; // overwritten: what lies behind is lost
        visit(at);
        at += size;
    }
}

bool Heap::plausible(std::uint64_t offset) const noexcept {
    const std::uint64_t begin = segment().heap_begin;
    const std::uint64_t top = header().top;
    if (offset % block_unit != 0 || offset < begin || offset >= top ||
        top - offset < 2 * block_unit)
        return false;
    const std::uint64_t size = block(offset).size;
    return size >= 2 * block_unit && size <= top - offset;
}

// ---- allocating
// ---------------------------------------------------------------------------------------

std::uint64_t Heap::allocate(std::size_t bytes, Kind kind) {
    const std::uint64_t limit = segment().bytes;
    if (bytes > limit)
        throw OutOfSharedMemory(fmt::format(
            "{} bytes were asked for, and the whole shared memory has {}; ask for less, or set "
            "MULTIFORK_ARENA_BYTES higher before the program starts",
            bytes, limit));
    const SizeClass wanted = size_class(std::max<std::uint64_t>(bytes, 1) + sizeof(BlockHeader));
    const liveness::ThreadWord me = liveness::enter(domain_);
    std::uint64_t at = 0;
    bool zero = false;
    {
        Locked hold(*this);
        if (header().swept_deaths != domain_.registry().deaths.load(relaxed))
            sweep_locked();
        at = take_free(wanted);
        if (at == 0)
            at = carve(wanted);
        BlockHeader& made = block(at);
        zero = made.serial != 0 && made.pages_released == 0 && kind != Kind::bytes;
        made.birth = header().fork_epoch.load(relaxed);
        made.serial = ++header().next_serial;
        made.kind = kind;
        made.pages_released = 0;
        compiler_barrier();
        made.owner.store(me, relaxed); // COMMIT: dies the thread now, a sweep frees the block
        compiler_barrier();
        header().bytes_used += made.size;
        ++header().blocks_used;
    }
    if (zero)
        std::memset(base_ + at + sizeof(BlockHeader), 0, block(at).size - sizeof(BlockHeader));
    return at;
}

std::uint64_t Heap::take_free(SizeClass wanted) noexcept {
    std::uint64_t& list = header().free_heads[wanted.index];
    const std::uint64_t at = list;
    if (at == 0)
        return 0;
    if (!plausible(at) || block(at).size != wanted.bytes || block(at).owner.load(relaxed) != 0) {
        list = 0; // overwritten: forget the list rather than hand out somebody's memory
        return 0;
    }
    if (block(at).pages_released != 0 && platform::reserve_pages(fd_, at, wanted.bytes) == ENOSPC)
        return 0;
    list = block(at).next;
    return at;
}

std::uint64_t Heap::carve(SizeClass wanted) {
    HeapHeader& heap = header();
    const std::uint64_t at = heap.top;
    if (wanted.bytes > segment().bytes || at > segment().bytes - wanted.bytes) {
        if (const std::uint64_t larger = take_larger(wanted); larger != 0)
            return larger;
        sweep_locked();
        if (const std::uint64_t swept = take_free(wanted); swept != 0)
            return swept;
        if (const std::uint64_t larger = take_larger(wanted); larger != 0)
            return larger;
        throw OutOfSharedMemory(
            fmt::format("{} bytes of shared memory were asked for, {} of {} are in use and no free "
                        "piece is large "
                        "enough; drop some objects, or set MULTIFORK_ARENA_BYTES higher before the "
                        "program starts",
                        wanted.bytes, heap.bytes_used, segment().bytes - segment().heap_begin));
    }
    reserve(at + wanted.bytes);
    BlockHeader& made = block(at);
    made.size = wanted.bytes;
    made.serial = 0;
    made.pages_released = 0;
    made.owner.store(0, relaxed);
    compiler_barrier();
    heap.top = at + wanted.bytes; // COMMIT: a free block more, which a rebuild would find
    compiler_barrier();
    return at;
}

std::uint64_t Heap::take_larger(SizeClass wanted) noexcept {
    for (std::size_t index = wanted.index + 1; index < size_classes; ++index) {
        const std::uint64_t at = header().free_heads[index];
        if (at == 0 || !plausible(at))
            continue;
        if (const std::uint64_t taken = take_free({index, block(at).size}); taken != 0)
            return taken;
    }
    return 0;
}

void Heap::reserve(std::uint64_t end) {
    HeapHeader& heap = header();
    if (end <= heap.committed)
        return;
    const std::uint64_t from = heap.committed;
    const std::uint64_t to = std::min(page_up(std::max(end, from + reserve_step)), segment().bytes);
    int error = platform::reserve_pages(fd_, from, to - from);
    if (error == EBADF) // a child that closed all its descriptors: touch the pages instead
        error = ::madvise(base_ + from, to - from, MADV_POPULATE_WRITE) == 0 || errno == EINVAL
                    ? 0
                    : errno;
    if (error != 0)
        throw OutOfSharedMemory(fmt::format("the kernel has no room for {} more bytes of shared "
                                            "memory ({}); end something that uses "
                                            "memory, or ask for less",
                                            to - from, std::generic_category().message(error)));
    heap.committed = to;
}

// ---- freeing
// ------------------------------------------------------------------------------------------

void Heap::put_free(std::uint64_t offset) noexcept {
    BlockHeader& freed = block(offset);
    HeapHeader& heap = header();
    if (freed.size > release_pages_above) {
        const std::uint64_t from = page_up(offset + sizeof(BlockHeader));
        const std::uint64_t to = (offset + freed.size) / page_bytes * page_bytes;
        if (platform::release_pages(fd_, from, to - from)) {
            // What the pages did not cover has to be zeroed by hand.
            std::memset(base_ + offset + sizeof(BlockHeader), 0,
                        from - offset - sizeof(BlockHeader));
            std::memset(base_ + to, 0, offset + freed.size - to);
            freed.pages_released = 1;
        }
    }
    compiler_barrier();
    freed.owner.store(0, relaxed); // COMMIT
    compiler_barrier();
    heap.bytes_used -= freed.size;
    --heap.blocks_used;
    std::uint64_t& list = heap.free_heads[size_class(freed.size).index];
    freed.next = list;
    list = offset;
}

void Heap::free_own(std::uint64_t offset) noexcept {
    Locked hold(*this);
    if (!plausible(offset))
        return;
    if (block(offset).owner.load(relaxed) == liveness::enter(domain_))
        put_free(offset);
}

void Heap::free_messages_of(std::uint64_t ring_block) noexcept {
    auto& ring = *reinterpret_cast<core::RingHeader*>(base_ + ring_block + sizeof(BlockHeader));
    const std::uint64_t owner = owner_ring(ring_block);
    const std::uint64_t room =
        block(ring_block).size - sizeof(BlockHeader) - sizeof(core::RingHeader);
    for (std::uint64_t at = 0; at + message_slot_bytes <= room; at += message_slot_bytes) {
        auto& slot = *reinterpret_cast<MessageSlot*>(ring.slots() + at);
        // The owner word decides: a block that was freed, or freed and used again, is not this
        // ring's.
        const std::uint64_t bytes = slot.block.load(relaxed); // behind the block's header
        if (bytes < sizeof(BlockHeader))
            continue;
        const std::uint64_t message = bytes - sizeof(BlockHeader);
        if (plausible(message) && block(message).owner.load(relaxed) == owner)
            put_free(message);
    }
}

bool Heap::still_reachable(const BlockHeader& dropped) const noexcept {
    const std::uint32_t used = std::min(header().process_high_water, segment().process_slots);
    return std::any_of(records(), records() + used, [&](const ProcessRecord& record) {
        const bool forked_meanwhile =
            record.fork_epoch > dropped.birth && record.fork_epoch <= dropped.retired_at;
        const bool ancestor_was =
            record.last_ancestor > dropped.birth && record.first_ancestor <= dropped.retired_at;
        return record.serial.load(relaxed) != 0 && (forked_meanwhile || ancestor_was);
    });
}

void Heap::retire_or_free(std::uint64_t offset) noexcept {
    BlockHeader& dropped = block(offset);
    dropped.retired_at = header().fork_epoch.load(relaxed);
    if (dropped.retired_at != dropped.birth && still_reachable(dropped)) {
        compiler_barrier();
        dropped.owner.store(retired, relaxed); // COMMIT
        compiler_barrier();
        dropped.next = header().retired_head;
        header().retired_head = offset;
        return;
    }
    if (dropped.kind == Kind::message_ring)
        free_messages_of(offset);
    put_free(offset);
}

void Heap::free_unreachable() noexcept {
    std::uint64_t at = header().retired_head;
    header().retired_head = 0;
    while (at != 0 && plausible(at) && block(at).owner.load(relaxed) == retired) {
        const std::uint64_t next = block(at).next;
        if (still_reachable(block(at))) {
            block(at).next = header().retired_head;
            header().retired_head = at;
        } else {
            if (block(at).kind == Kind::message_ring)
                free_messages_of(at);
            put_free(at);
        }
        at = next;
    }
}

// ---- owners
// -------------------------------------------------------------------------------------------

void Heap::give_to_process(std::uint64_t offset, std::uint64_t serial,
                           std::uint32_t record) noexcept {
    Locked hold(*this);
    ++records()[record].objects;
    compiler_barrier();
    block(offset).owner.store(owner_process(serial), relaxed); // COMMIT
}

void Heap::drop(std::uint64_t offset, std::uint64_t serial, std::uint32_t record) noexcept {
    Locked hold(*this);
    if (!plausible(offset) || block(offset).owner.load(relaxed) != owner_process(serial))
        return;
    retire_or_free(offset);
    if (records()[record].objects > 0)
        --records()[record].objects;
}

void Heap::give_to_ring(std::uint64_t offset, std::uint64_t ring_block) noexcept {
    // No lock: the block is the caller's, and the ring's lock is held.
    block(offset).owner.store(owner_ring(ring_block), relaxed); // COMMIT
}

bool Heap::take_from_ring(std::uint64_t offset, std::uint64_t ring_block) noexcept {
    if (!plausible(offset) || block(offset).owner.load(relaxed) != owner_ring(ring_block))
        return false;
    block(offset).owner.store(liveness::enter(domain_), relaxed); // COMMIT
    return true;
}

// ---- after a death
// ------------------------------------------------------------------------------------

void Heap::rebuild() noexcept {
    HeapHeader& heap = header();
    heap.free_heads.fill(0);
    heap.retired_head = 0;
    heap.bytes_used = 0;
    heap.blocks_used = 0;
    walk([&](std::uint64_t at) {
        BlockHeader& found = block(at);
        const std::uint64_t owner = found.owner.load(relaxed);
        if (owner != 0) {
            heap.bytes_used += found.size;
            ++heap.blocks_used;
        }
        if (owner != 0 && owner != retired)
            return;
        std::uint64_t& list =
            owner == 0 ? heap.free_heads[size_class(found.size).index] : heap.retired_head;
        found.next = list;
        list = at;
    });
}

void Heap::sweep() noexcept {
    Locked hold(*this);
    sweep_locked();
}

void Heap::sweep_locked() noexcept {
    HeapHeader& heap = header();
    heap.swept_deaths = domain_.registry().deaths.load(relaxed);
    if (MULTIFORK_MUTANT(no_sweep))
        return;
    const std::uint32_t used = std::min(heap.process_high_water, segment().process_slots);
    for (std::uint32_t i = 0; i < used; ++i) {
        ProcessRecord& record = records()[i];
        if (record.serial.load(relaxed) == 0)
            continue;
        // A child that never said its pid counts as alive while its parent is: see ProcessRecord.
        const std::uint32_t pid = record.pid.load();
        if (!platform::process_runs(pid != 0 ? pid : record.parent_pid))
            record.serial.store(0);
    }
    const auto process_is_gone = [&](std::uint64_t owner) {
        return std::none_of(records(), records() + used, [&](const ProcessRecord& record) {
            const std::uint64_t serial = record.serial.load(relaxed);
            return serial != 0 && owner_process(serial) == owner;
        });
    };
    walk([&](std::uint64_t at) {
        const std::uint64_t owner = block(at).owner.load(relaxed);
        const std::uint64_t tag = owner & owner_tag_mask;
        if (owner == 0)
            return;
        if (tag == 0 && !liveness::is_alive(domain_, owner))
            put_free(at);
        else if (tag == process_tag && process_is_gone(owner))
            retire_or_free(at);
    });
    free_unreachable();
}

void Heap::settle_semaphores(liveness::ThreadWord name) noexcept {
    // Without the heap's lock, because a semaphore's own is taken inside. Blocks may come and go
    // meanwhile, but one in which this living thread holds permits belongs to somebody and stays.
    walk([&](std::uint64_t at) {
        if (block(at).kind != Kind::semaphore || block(at).owner.load() == 0)
            return;
        auto& cell = *reinterpret_cast<core::SemaphoreCell*>(base_ + at + sizeof(BlockHeader));
        if (core::semaphore_knows(cell, name))
            core::semaphore_leave(cell, domain_, name);
    });
}

SpaceUsage Heap::usage() const noexcept {
    const HeapHeader& heap = header();
    return {heap.bytes_used, heap.blocks_used, heap.top - segment().heap_begin,
            segment().bytes - segment().heap_begin};
}

} // namespace multifork::arena
