#include "arena/heap.hpp"
#include "arena/heap_lock.hpp"
#include "platform/file_text.hpp"
#include "platform/system.hpp"

#include <multifork/error.hpp>
#include <multifork/platform/mutant.hpp>

#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

namespace multifork::arena {
namespace {

constexpr auto relaxed = std::memory_order_relaxed; // under the heap's lock, if nothing is said

// Pages are set aside in steps, because each step is a system call.
constexpr std::uint64_t reserve_step = 256ull << 10;

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
        made.first_hold = 0;
        made.holds = 0;
        made.kind.store(Kind::bytes, relaxed); // nobody may take old bytes for an object
        made.pages_released = 0;
        compiler_barrier();
        made.owner.store(me, relaxed); // COMMIT: dies the thread now, a sweep frees the block
        compiler_barrier();
        header().bytes_used += size_at(at);
        ++header().blocks_used;
    }
    if (zero)
        std::memset(base_ + at + sizeof(BlockHeader), 0, wanted.bytes - sizeof(BlockHeader));
    // release: pairs with the acquire in settle_semaphores()
    block(at).kind.store(kind, std::memory_order_release);
    return at;
}

std::uint64_t Heap::take_free(SizeClass wanted) noexcept {
    std::uint64_t& list = header().free_heads[wanted.index];
    const std::uint64_t at = list;
    if (at == 0)
        return 0;
    if (size_at(at) != wanted.bytes || block(at).owner.load(relaxed) != 0) {
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
        if (const std::uint64_t found = take_any(wanted); found != 0)
            return found;
        sweep_locked();
        if (const std::uint64_t found = take_any(wanted); found != 0)
            return found;
        join_free();
        if (const std::uint64_t found = take_any(wanted); found != 0)
            return found;
        throw OutOfSharedMemory(
            fmt::format("{} bytes of shared memory were asked for, {} of {} are in use and no free "
                        "piece is large enough; drop some objects, or {}",
                        wanted.bytes, heap.bytes_used, shape_.bytes - begin_, how_to_get_more()));
    }
    reserve(at + wanted.bytes);
    BlockHeader& made = block(at);
    if (MULTIFORK_MUTANT(top_first))
        heap.top.store(at + wanted.bytes, relaxed);
    compiler_barrier();
    made.size = wanted.bytes;
    made.serial = 0;
    made.pages_released = 0;
    made.owner.store(0, relaxed);
    compiler_barrier();
    heap.top.store(at + wanted.bytes,
                   relaxed); // COMMIT: a free block more, which a rebuild would find
    compiler_barrier();
    return at;
}

std::uint64_t Heap::take_larger(SizeClass wanted) noexcept {
    for (std::size_t index = wanted.index + 1; index < size_classes; ++index) {
        const std::uint64_t size = size_at(header().free_heads[index]);
        if (size <= wanted.bytes) // no block there, or not one of this list
            continue;
        const std::uint64_t taken = take_free({index, size});
        if (taken == 0)
            continue;
        if (size - wanted.bytes >= 2 * block_unit && block(taken).pages_released == 0)
            give_back_rest(taken, size, wanted);
        return taken;
    }
    return 0;
}

/// Cuts a free block, which is in no list, down to size.
void Heap::give_back_rest(std::uint64_t at, std::uint64_t size, SizeClass wanted) noexcept {
    const std::uint64_t end = at + size;
    divide_free(at + wanted.bytes, end);
    compiler_barrier();
    block(at).size = wanted.bytes; // COMMIT
    compiler_barrier();
    std::uint64_t made = 0;
    for (std::uint64_t rest = at + wanted.bytes; rest < end; rest += made) {
        made = size_at(rest);
        if (made == 0) // overwritten
            return;
        std::uint64_t& list = header().free_heads[size_class(made).index];
        block(rest).next = list;
        list = rest;
    }
}

std::uint64_t Heap::take_any(SizeClass wanted) noexcept {
    const std::uint64_t exact = take_free(wanted);
    return exact != 0 ? exact : take_larger(wanted);
}

/// Divides each run of free neighbours anew, into blocks as large as they can be; the lists are
/// made anew. Only when nothing else helps: it walks over all blocks.
void Heap::join_free() noexcept {
    const auto free_at = [&](std::uint64_t at) -> std::uint64_t {
        const std::uint64_t size = size_at(at);
        // Released pages read as zero and have to be set aside again: such blocks are large enough.
        return size != 0 && block(at).owner.load(relaxed) == 0 && block(at).pages_released == 0
                   ? size
                   : 0;
    };
    std::uint64_t size = 0;
    for (std::uint64_t at = begin_; (size = size_at(at)) != 0; at += size) {
        std::uint64_t end = at;
        while (const std::uint64_t free = free_at(end))
            end += free;
        if (end == at)
            continue;
        // From the last block to the first: at each moment a walk that comes upon an old block or a
        // new one gets to the end of the run.
        divide_free(at, end);
        size = end - at;
    }
    rebuild();
}

void Heap::divide_free(std::uint64_t from, std::uint64_t end) noexcept {
    const std::uint64_t size = largest_class_within(end - from);
    if (MULTIFORK_MUTANT(divide_forward))
        block(from).size = size;
    if (from + size < end)
        divide_free(from + size, end); // a fifth of it at most is left each time
    BlockHeader& made = block(from);
    made.owner.store(0, relaxed);
    made.pages_released = 0;
    made.serial = 1; // it was in use: its bytes are not zero
    compiler_barrier();
    made.size = size; // COMMIT
    compiler_barrier();
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

} // namespace multifork::arena
