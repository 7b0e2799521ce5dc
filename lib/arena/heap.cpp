#include "arena/heap.hpp"

#include "arena/heap_lock.hpp"
#include "platform/file_text.hpp"
#include "platform/system.hpp"

#include <multifork/arena/message_slot.hpp>
#include <multifork/core/ring.hpp>
#include <multifork/core/semaphore_cell.hpp>
#include <multifork/error.hpp>
#include <multifork/platform/mutant.hpp>

#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
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

/// Refuses what the machine has no memory for: the kernel would not, and would end some process
/// later.
void check_memory(std::uint64_t bytes) {
    constexpr std::uint64_t worth_a_look = 64ull << 20;
    if (bytes < worth_a_look)
        return;
    const platform::FileText info("/proc/meminfo");
    constexpr std::string_view key = "MemAvailable:";
    const auto at = info.text().find(key);
    if (at == std::string_view::npos)
        return;
    std::string_view digits = info.text().substr(at + key.size());
    digits.remove_prefix(std::min(digits.find_first_not_of(' '), digits.size()));
    std::uint64_t kib = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), kib);
    if (kib != 0 && bytes / 1024 > kib)
        throw OutOfSharedMemory(fmt::format("{} bytes of shared memory were asked for and the "
                                            "machine has {} KiB left; ask for less, or end "
                                            "something that uses memory",
                                            bytes, kib));
}

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

template <class Visit>
void Heap::walk(Visit visit) const noexcept {
    for (std::uint64_t at = begin_; plausible(at);) {
        const std::uint64_t size = block(at).size;
        visit(at);
        at += size;
    }
}

bool Heap::plausible(std::uint64_t offset) const noexcept {
    const std::uint64_t end = top();
    if (offset % block_unit != 0 || offset < begin_ || offset >= end ||
        end - offset < 2 * block_unit)
        return false;
    const std::uint64_t size = block(offset).size;
    return size >= 2 * block_unit && size <= end - offset && size_class(size).bytes == size;
}

// ---- allocating
// ---------------------------------------------------------------------------------------

const char* Heap::how_to_get_more() const noexcept {
    return segment().root != 0 ? "give the named object more message_bytes where it is created"
                               : "set MULTIFORK_ARENA_BYTES higher before the program starts";
}

std::uint64_t Heap::allocate(std::size_t bytes, Kind kind) {
    const std::uint64_t limit = shape_.bytes;
    if (bytes > limit)
        throw OutOfSharedMemory(fmt::format(
            "{} bytes were asked for, and the whole shared memory has {}; ask for less, or {}",
            bytes, limit, how_to_get_more()));
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
        made.kind.store(Kind::bytes, relaxed); // nobody may take old bytes for an object
        made.pages_released = 0;
        compiler_barrier();
        made.owner.store(me, relaxed); // COMMIT: dies the thread now, a sweep frees the block
        compiler_barrier();
        header().bytes_used += made.size;
        ++header().blocks_used;
    }
    if (zero)
        std::memset(base_ + at + sizeof(BlockHeader), 0, block(at).size - sizeof(BlockHeader));
    // release: pairs with the acquire in settle_semaphores()
    block(at).kind.store(kind, std::memory_order_release);
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
    if (block(at).pages_released != 0 && set_pages_aside(at, wanted.bytes) != 0)
        return 0;
    list = block(at).next;
    return at;
}

std::uint64_t Heap::carve(SizeClass wanted) {
    HeapHeader& heap = header();
    const std::uint64_t at = top();
    if (at < begin_ || at % block_unit != 0)
        throw CorruptSharedMemory(fmt::format(
            "shared memory says that its blocks end at {:#x}, where no block can end: it was "
            "overwritten; look for a process that writes where it should not",
            at));
    if (wanted.bytes > shape_.bytes || at > shape_.bytes - wanted.bytes) {
        if (const std::uint64_t larger = take_larger(wanted); larger != 0)
            return larger;
        sweep_locked();
        if (const std::uint64_t swept = take_free(wanted); swept != 0)
            return swept;
        if (const std::uint64_t larger = take_larger(wanted); larger != 0)
            return larger;
        throw OutOfSharedMemory(
            fmt::format("{} bytes of shared memory were asked for, {} of {} are in use and no free "
                        "piece is large enough; drop some objects, or {}",
                        wanted.bytes, heap.bytes_used, shape_.bytes - begin_, how_to_get_more()));
    }
    reserve(at + wanted.bytes);
    BlockHeader& made = block(at);
    if (MULTIFORK_MUTANT(top_first))
        heap.top = at + wanted.bytes;
    compiler_barrier();
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

bool Heap::fd_is_ours() const noexcept {
    struct stat status {};
    return fd_ >= 0 && ::fstat(fd_, &status) == 0 && status.st_dev == fd_device_ &&
           status.st_ino == fd_inode_;
}

int Heap::set_pages_aside(std::uint64_t from, std::uint64_t length) const noexcept {
    if (fd_is_ours())
        return platform::reserve_pages(fd_, from, length);
    // A process that closed all its descriptors, as daemons do: touch the pages instead. Whole
    // ones.
    const std::uint64_t first = from / page_bytes * page_bytes;
    const std::uint64_t last = page_up(from + length);
    if (::madvise(base_ + first, last - first, MADV_POPULATE_WRITE) == 0)
        return 0;
    return errno == EINVAL
               ? 0
               : errno; // EINVAL: before Linux 5.14; the pages come when they are touched
}

void Heap::reserve(std::uint64_t end) {
    HeapHeader& heap = header();
    if (end <= heap.committed)
        return;
    const std::uint64_t from = heap.committed;
    const std::uint64_t to = std::min(page_up(std::max(end, from + reserve_step)), shape_.bytes);
    check_memory(to - from);
    const int error = set_pages_aside(from, to - from);
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
        if (::madvise(base_ + from, to - from, MADV_REMOVE) == 0) {
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
    const Kind kind = block(ring_block).kind.load(relaxed);
    if (kind != Kind::message_ring && kind != Kind::pipe)
        return;
    const std::uint64_t before = kind == Kind::pipe ? sizeof(core::PipeCell) : 0;
    if (block(ring_block).size < sizeof(BlockHeader) + before + sizeof(core::RingHeader))
        return;
    auto& ring =
        *reinterpret_cast<core::RingHeader*>(base_ + ring_block + sizeof(BlockHeader) + before);
    const std::uint64_t owner = owner_ring(ring_block);
    const std::uint64_t room =
        block(ring_block).size - sizeof(BlockHeader) - before - sizeof(core::RingHeader);
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

bool Heap::still_reachable(std::uint64_t offset) const noexcept {
    const BlockHeader& dropped = block(offset);
    if (dropped.kind.load(relaxed) == Kind::pipe)
        return anybody_holds(pipe_in(offset));
    if (dropped.retired_at == dropped.birth)
        return false;
    return std::any_of(records(), records() + used_records(), [&](const ProcessRecord& record) {
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
    if (still_reachable(offset)) {
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

// ---- owners
// -------------------------------------------------------------------------------------------

void Heap::give_to_process(std::uint64_t offset, ProcessId process) noexcept {
    Locked hold(*this);
    ++records()[process.record].objects;
    compiler_barrier();
    block(offset).owner.store(owner_process(process.serial), relaxed); // COMMIT
}

void Heap::drop(std::uint64_t offset, ProcessId process) noexcept {
    Locked hold(*this);
    if (!plausible(offset) || block(offset).owner.load(relaxed) != owner_process(process.serial))
        return;
    retire_or_free(offset);
    if (records()[process.record].objects > 0)
        --records()[process.record].objects;
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

bool Heap::is_gone(const ProcessRecord& record) const noexcept {
    // In another pid namespace the numbers mean other processes, or none.
    if (segment().pid_namespace != platform::pid_namespace())
        return false;
    if (const std::uint32_t pid = record.pid.load(); pid != 0)
        return !platform::process_runs(pid);
    // A child that has not said its pid yet: while its parent lives, and a while longer, it may.
    constexpr std::int64_t grace_ns = 10'000'000'000;
    return !platform::process_runs(record.parent_pid) &&
           platform::monotonic_ns() - record.born_ns > grace_ns;
}

void Heap::sweep_locked() noexcept {
    HeapHeader& heap = header();
    heap.swept_deaths = domain_.registry().deaths.load(relaxed);
    if (MULTIFORK_MUTANT(no_sweep))
        return;
    for (std::uint32_t i = 0; i < used_records(); ++i)
        if (records()[i].serial.load(relaxed) != 0 && is_gone(records()[i]))
            records()[i].serial.store(0);
    const auto process_is_gone = [&](std::uint64_t owner) {
        return std::none_of(records(), records() + used_records(),
                            [&](const ProcessRecord& record) {
                                const std::uint64_t serial = record.serial.load(relaxed);
                                return serial != 0 && owner_process(serial) == owner;
                            });
    };
    walk([&](std::uint64_t at) {
        const std::uint64_t owner = block(at).owner.load(relaxed);
        const std::uint64_t tag = owner & owner_tag_mask;
        if (owner == 0)
            return;
        // A living thread hands its block to a queue without this lock, and may have died since:
        // once it is seen to be dead, its word is final, and has to be read again.
        if (tag == 0 && !liveness::is_alive(domain_, owner) &&
            block(at).owner.load(std::memory_order_acquire) == owner)
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
        // acquire: pairs with the release in allocate()
        if (block(at).kind.load(std::memory_order_acquire) != Kind::semaphore ||
            block(at).owner.load() == 0)
            return;
        auto& cell = *reinterpret_cast<core::SemaphoreCell*>(base_ + at + sizeof(BlockHeader));
        const std::uint64_t room = (block(at).size - sizeof(BlockHeader) - sizeof cell) /
                                   sizeof(core::SemaphoreCell::Entry);
        if (cell.capacity <= room && core::semaphore_knows(cell, name))
            core::semaphore_leave(cell, domain_, name);
    });
}

SpaceUsage Heap::usage() {
    Locked hold(*this);
    return {header().bytes_used, header().blocks_used, top() - begin_, shape_.bytes - begin_};
}

} // namespace multifork::arena
