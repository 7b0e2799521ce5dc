#include "arena/heap.hpp"
#include "arena/heap_lock.hpp"

#include <multifork/error.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/platform/mutant.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <atomic>

// The table of processes: see ProcessRecord in layout.hpp.

namespace multifork::arena {
namespace {

constexpr auto relaxed = std::memory_order_relaxed; // under the heap's lock

/// After the store that ends it: death in between leaves the count too high, never too low.
void one_birth_less(HeapHeader& heap) noexcept {
    compiler_barrier();
    heap.births -= heap.births > 0 ? 1 : 0;
}

} // namespace

ProcessId Heap::begin_process(std::uint32_t parent_pid, std::uint32_t pid, Birth birth) {
    Locked hold(*this);
    HeapHeader& heap = header();
    const std::uint32_t slots = shape_.process_slots;
    const auto find_free = [&] {
        std::uint32_t i = 0;
        while (i < slots && records()[i].serial.load(relaxed) != 0)
            ++i;
        return i;
    };
    std::uint32_t index = find_free();
    if (index == slots) {
        sweep_locked();
        index = find_free();
    }
    if (index == slots)
        throw TooManyThreads(fmt::format(
            "all {} process slots of this shared memory are taken; join some processes first",
            slots));
    heap.process_high_water.store(std::max(heap.process_high_water.load(relaxed), index + 1),
                                  relaxed);
    ProcessRecord& record = records()[index];
    record.pid.store(pid, relaxed);
    record.born_ns.store(platform::monotonic_ns(), relaxed);
    record.parent_pid.store(parent_pid, relaxed);
    record.objects = 0;
    record.anchor.store(liveness::nobody, relaxed);
    record.name.fill(0);
    const std::uint64_t epoch = heap.fork_epoch.load(relaxed) + 1;
    heap.fork_epoch.store(epoch, relaxed);
    record.birth_begin = birth == Birth::inherits_nothing ? 0 : epoch;
    const bool opens = birth == Birth::fork_to_come && !MULTIFORK_MUTANT(instant_birth);
    record.birth_end = opens ? not_over : record.birth_begin;
    heap.births += opens ? 1 : 0;
    record.first_ancestor = record.last_ancestor = 0;
    for (std::uint32_t i = 0;
         i < used_records() && parent_pid != 0 && birth != Birth::inherits_nothing; ++i) {
        // The first process of the tree was not forked: it owns what it has, or has dropped it.
        ProcessRecord& parent = records()[i];
        if (i == index || parent.serial.load(relaxed) == 0 ||
            parent.pid.load(relaxed) != parent_pid || parent.birth_begin <= 1)
            continue;
        if (parent.birth_end == not_over) { // it forks, so it was forked
            parent.birth_end = epoch;
            one_birth_less(heap);
        }
        const std::uint64_t first =
            parent.first_ancestor != 0 ? parent.first_ancestor : parent.birth_begin;
        record.first_ancestor =
            record.first_ancestor == 0 ? first : std::min(record.first_ancestor, first);
        record.last_ancestor = std::max(record.last_ancestor, parent.birth_end);
    }
    const std::uint64_t serial = ++heap.next_process_serial;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    record.serial.store(serial); // COMMIT
    return {index, serial};
}

void Heap::end_birth(ProcessId process) noexcept {
    if (process.serial == 0 || !attached())
        return;
    Locked hold(*this);
    if (!is_current(process) || records()[process.record].birth_end != not_over)
        return;
    // What is made from now on is as old as this epoch, and so not older than the end.
    const std::uint64_t epoch = header().fork_epoch.load(relaxed) + 1;
    header().fork_epoch.store(epoch, relaxed);
    records()[process.record].birth_end = epoch;
    one_birth_less(header());
}

void Heap::doubt_birth(ProcessId process) noexcept {
    if (!attached())
        return;
    Locked hold(*this);
    if (is_current(process))
        records()[process.record].parent_pid.store(0, relaxed);
}

void Heap::say_pid(ProcessId process, std::uint32_t pid) noexcept {
    if (!attached())
        return;
    Locked hold(*this); // a sweep by another thread may end the record of a child that has ended
    if (is_current(process))
        records()[process.record].pid.store(pid, relaxed);
}

void Heap::end_process(ProcessId process) noexcept {
    if (!attached())
        return;
    Locked hold(*this);
    if (!is_current(process))
        return;
    ProcessRecord& record = records()[process.record];
    const bool owned_objects = record.objects != 0;
    record.serial.store(0); // COMMIT: what it alone could reach is nobody's
    if (record.birth_end == not_over)
        one_birth_less(header());
    if (owned_objects)
        sweep_locked();
    else if (header().retired_head != 0)
        free_unreachable();
}

} // namespace multifork::arena
