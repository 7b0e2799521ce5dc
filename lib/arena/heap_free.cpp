#include "arena/heap.hpp"
#include "arena/heap_lock.hpp"

#include <multifork/arena/message_slot.hpp>
#include <multifork/core/container_cell.hpp>
#include <multifork/core/ring.hpp>
#include <multifork/platform/mutant.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace multifork::arena {
namespace {

constexpr auto relaxed = std::memory_order_relaxed; // under the heap's lock, if nothing is said

// A message block above this gives its pages back when it is freed; below, keeping them warm is
// worth more.
constexpr std::uint64_t release_pages_above = 16ull << 20;

} // namespace

void Heap::put_free(std::uint64_t offset) noexcept {
    BlockHeader& freed = block(offset);
    HeapHeader& heap = header();
    const std::uint64_t size = size_at(offset);
    if (size == 0) // overwritten: in none of the lists
        return;
    if (freed.kind.load(relaxed) == Kind::hold)
        let_go(offset);
    else if (freed.kind.load(relaxed) == Kind::bytes && freed.first_hold != 0)
        free_holds_of(offset);
    if (size > release_pages_above) {
        const std::uint64_t from = page_up(offset + sizeof(BlockHeader));
        const std::uint64_t to = (offset + size) / page_bytes * page_bytes;
        if (::madvise(base_ + from, to - from, MADV_REMOVE) == 0) {
            // What the pages did not cover has to be zeroed by hand.
            std::memset(base_ + offset + sizeof(BlockHeader), 0,
                        from - offset - sizeof(BlockHeader));
            std::memset(base_ + to, 0, offset + size - to);
            freed.pages_released = 1;
        }
    }
    compiler_barrier();
    freed.owner.store(0, relaxed); // COMMIT
    compiler_barrier();
    heap.bytes_used -= size;
    --heap.blocks_used;
    std::uint64_t& list = heap.free_heads[size_class(size).index];
    freed.next = list;
    list = offset;
}

void Heap::free_own(std::uint64_t offset) noexcept {
    if (!attached())
        return;
    Locked hold(*this);
    if (!plausible(offset))
        return;
    if (block(offset).owner.load(relaxed) == liveness::enter(domain_))
        put_free(offset);
}

void Heap::free_messages_of(std::uint64_t ring_block) noexcept {
    const Kind kind = block(ring_block).kind.load(relaxed);
    if (kind == Kind::message_leases || kind == Kind::tasks)
        return free_all_of(ring_block); // how its slots lie is not known here
    if (kind == Kind::list || kind == Kind::dict)
        return free_elements_of(ring_block);
    if (kind != Kind::message_ring && kind != Kind::pipe)
        return;
    const std::uint64_t before = kind == Kind::pipe ? sizeof(core::PipeCell) : 0;
    const std::uint64_t size = size_at(ring_block);
    if (size < sizeof(BlockHeader) + before + sizeof(core::RingHeader))
        return;
    auto& ring =
        *reinterpret_cast<core::RingHeader*>(base_ + ring_block + sizeof(BlockHeader) + before);
    const std::uint64_t owner = owner_ring(ring_block);
    const std::uint64_t room = size - sizeof(BlockHeader) - before - sizeof(core::RingHeader);
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

/// Whatever block says that it is the queue's, or container's, is.
void Heap::free_all_of(std::uint64_t ring_block) noexcept {
    const std::uint64_t owner = owner_ring(ring_block);
    walk([&](std::uint64_t at, std::uint64_t) {
        if (block(at).owner.load(relaxed) == owner)
            put_free(at);
    });
}

void Heap::free_elements_of(std::uint64_t container) noexcept {
    const std::uint64_t owner = owner_ring(container);
    const auto& header =
        *reinterpret_cast<core::ContainerHeader*>(base_ + container + sizeof(BlockHeader));
    const auto is_its = [&](std::uint64_t bytes) { // counted from behind the block's header
        return bytes >= sizeof(BlockHeader) && plausible(bytes - sizeof(BlockHeader)) &&
               block(bytes - sizeof(BlockHeader)).owner.load(relaxed) == owner;
    };
    const std::uint64_t table = header.root.load(relaxed);
    // Who died with the lock may have left blocks that no table names.
    if (header.lock.word.load(relaxed) != liveness::nobody || (table != 0 && !is_its(table)))
        return free_all_of(container);
    if (table == 0)
        return;
    // Any word of the table may be that of a block; the owner word decides.
    const auto* const words = reinterpret_cast<const std::uint64_t*>(base_ + table);
    const std::uint64_t size = size_at(table - sizeof(BlockHeader));
    if (size == 0) // overwritten
        return;
    for (std::uint64_t i = 0; i < (size - sizeof(BlockHeader)) / sizeof(std::uint64_t); ++i)
        if (words[i] != table && is_its(words[i]))
            put_free(words[i] - sizeof(BlockHeader));
    put_free(table - sizeof(BlockHeader));
}

void Heap::keep_only(std::uint64_t ring_block, std::span<const std::uint64_t> in_use) noexcept {
    Locked hold(*this);
    const std::uint64_t owner = owner_ring(ring_block);
    walk([&](std::uint64_t at, std::uint64_t) {
        if (block(at).owner.load(relaxed) == owner &&
            !std::binary_search(in_use.begin(), in_use.end(), at + sizeof(BlockHeader)))
            put_free(at);
    });
}

bool Heap::still_reachable(std::uint64_t offset) const noexcept {
    const BlockHeader& dropped = block(offset);
    if (is_pipe(offset))
        return anybody_holds(pipe_in(offset));
    if (dropped.holds != 0)
        return true;
    return std::any_of(records(), records() + used_records(), [&](const ProcessRecord& record) {
        const bool forked_meanwhile =
            record.birth_end > dropped.birth && record.birth_begin <= dropped.retired_at;
        const bool ancestor_was =
            record.last_ancestor > dropped.birth && record.first_ancestor <= dropped.retired_at;
        return record.serial.load(relaxed) != 0 && (forked_meanwhile || ancestor_was);
    });
}

void Heap::retire_or_free(std::uint64_t offset) noexcept {
    BlockHeader& dropped = block(offset);
    if (dropped.kind.load(relaxed) == Kind::bytes) { // a message for a process that is gone
        put_free(offset);
        return;
    }
    dropped.retired_at = header().fork_epoch.load(relaxed);
    // Spares the common case a look at all records: no fork began or ended in this object's life,
    // and none is under way.
    const bool seen_no_fork = dropped.retired_at == dropped.birth &&
                              (header().births == 0 || MULTIFORK_MUTANT(blind_drop)) &&
                              dropped.holds == 0 && !is_pipe(offset);
    if (!seen_no_fork && still_reachable(offset)) {
        compiler_barrier();
        dropped.owner.store(retired, relaxed); // COMMIT
        compiler_barrier();
        dropped.next = header().retired_head;
        header().retired_head = offset;
        return;
    }
    free_messages_of(offset);
    put_free(offset);
}

void Heap::free_unreachable() noexcept {
    // What is freed may hold something itself: as often as that sets something free.
    do {
        released_ = false;
        free_unreachable_once();
    } while (released_);
}

void Heap::free_unreachable_once() noexcept {
    std::uint64_t at = header().retired_head;
    header().retired_head = 0;
    while (at != 0 && plausible(at) && block(at).owner.load(relaxed) == retired) {
        const std::uint64_t next = block(at).next;
        if (still_reachable(at)) {
            block(at).next = header().retired_head;
            header().retired_head = at;
        } else {
            free_messages_of(at);
            put_free(at);
        }
        at = next;
    }
}

void Heap::drop(std::uint64_t offset, ProcessId process) noexcept {
    if (!attached())
        return;
    Locked hold(*this);
    if (!plausible(offset) || block(offset).owner.load(relaxed) != owner_process(process.serial))
        return;
    retire_or_free(offset);
    if (records()[process.record].objects > 0)
        --records()[process.record].objects;
}

} // namespace multifork::arena
