#include "arena/heap.hpp"
#include "arena/heap_lock.hpp"
#include "platform/system.hpp"

#include <multifork/core/semaphore_cell.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/platform/mutant.hpp>

#include <algorithm>
#include <chrono>
#include <thread>

// What the dead have left: lists are made anew, blocks come back, permits are settled.

namespace multifork::arena {
namespace {

constexpr auto relaxed = std::memory_order_relaxed; // under the heap's lock, if nothing is said

} // namespace

void Heap::rebuild() noexcept {
    HeapHeader& heap = header();
    heap.free_heads.fill(0);
    heap.retired_head = 0;
    heap.bytes_used = 0;
    heap.blocks_used = 0;
    walk([&](std::uint64_t at, std::uint64_t size) {
        BlockHeader& found = block(at);
        const std::uint64_t owner = found.owner.load(relaxed);
        if (owner != 0) {
            heap.bytes_used += size;
            ++heap.blocks_used;
            if (found.kind.load(relaxed) != Kind::bytes)
                found.holds = 0;
        }
        if (owner != 0 && owner != retired)
            return;
        std::uint64_t& list =
            owner == 0 ? heap.free_heads[size_class(size).index] : heap.retired_head;
        found.next = list;
        list = at;
    });
    walk([&](std::uint64_t at, std::uint64_t) {
        if (block(at).kind.load(relaxed) != Kind::hold || block(at).owner.load(relaxed) == 0)
            return;
        const HoldRecord& hold = hold_in(at);
        if (hold.target != 0 && is_in_use({hold.target, hold.serial}))
            ++block(hold.target).holds;
    });
}

void Heap::sweep() noexcept {
    if (!attached())
        return;
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
    const std::uint32_t parent = record.parent_pid.load(relaxed); // guards nothing
    return (parent == 0 || !platform::process_runs(parent)) &&
           platform::monotonic_ns() - record.born_ns.load(relaxed) > grace_ns;
}

void Heap::sweep_locked() noexcept {
    HeapHeader& heap = header();
    heap.swept_deaths = domain_.registry().deaths.load(relaxed);
    if (MULTIFORK_MUTANT(no_sweep))
        return;
    for (std::uint32_t i = 0; i < used_records(); ++i)
        if (records()[i].serial.load(relaxed) != 0 && is_gone(records()[i]))
            records()[i].serial.store(0);
    // As everybody looks at all records below it, a crowd that is gone must not cost for ever.
    std::uint32_t used = used_records();
    while (used > 0 && records()[used - 1].serial.load(relaxed) == 0)
        --used;
    used -= used > 0 && MULTIFORK_MUTANT(forget_one_more) ? 1 : 0;
    // Death before this leaves it too high: free records are looked at once more.
    heap.process_high_water.store(used, relaxed);
    heap.births = static_cast<std::uint64_t>(
        std::count_if(records(), records() + used_records(), [](const ProcessRecord& record) {
            return record.serial.load(relaxed) != 0 && record.birth_end == not_over;
        }));
    const auto process_is_gone = [&](std::uint64_t owner) {
        return std::none_of(records(), records() + used_records(),
                            [&](const ProcessRecord& record) {
                                const std::uint64_t serial = record.serial.load(relaxed);
                                return serial != 0 && owner_process(serial) == owner;
                            });
    };
    walk([&](std::uint64_t at, std::uint64_t) {
        const std::uint64_t owner = block(at).owner.load(relaxed);
        const std::uint64_t tag = owner & owner_tag_mask;
        if (owner == 0)
            return;
        // A living thread hands its block to a queue without this lock, and may have died since:
        // once it is seen to be dead, its word is final, and has to be read again.
        if (tag == 0 && !liveness::is_alive(domain_, owner) &&
            (block(at).owner.load(std::memory_order_acquire) == owner ||
             MULTIFORK_MUTANT(one_look)))
            put_free(at);
        else if (tag == process_tag && process_is_gone(owner))
            retire_or_free(at);
    });
    // After the messages: a hold may lie before the message that it belonged to.
    walk([&](std::uint64_t at, std::uint64_t) {
        if ((block(at).owner.load(relaxed) & owner_tag_mask) == ring_tag && is_orphan(at))
            put_free(at);
    });
    free_unreachable();
}

// All under the heap's lock: without it a semaphore that was found might be freed, and its bytes be
// somebody's message, before it is settled. A semaphore's own lock is only tried there: its holder
// may be stopped, and nobody but those who need that semaphore should wait for it.
bool Heap::is_settled(std::uint64_t at, std::uint64_t size, liveness::ThreadWord name) noexcept {
    // acquire: pairs with the release in allocate()
    if (block(at).kind.load(std::memory_order_acquire) != Kind::semaphore ||
        block(at).owner.load(relaxed) == 0)
        return true;
    auto& cell = *reinterpret_cast<core::SemaphoreCell*>(base_ + at + sizeof(BlockHeader));
    const std::uint64_t room = (size - sizeof(BlockHeader) - sizeof(core::SemaphoreCell)) /
                               sizeof(core::SemaphoreCell::Entry);
    return cell.capacity > room || !core::semaphore_knows(cell, name) ||
           core::semaphore_try_leave(cell, domain_, name);
}

void Heap::settle_semaphores(liveness::ThreadWord name) noexcept {
    // Not a sleep on the semaphore's lock: its bytes may be another object's by the time this
    // thread sleeps on them, as only the heap's lock keeps it from being freed.
    constexpr std::chrono::milliseconds pause{1};
    for (;;) {
        ObjectUse busy; // the first in which somebody was
        {
            Locked hold(*this);
            walk([&](std::uint64_t at, std::uint64_t size) {
                if (!is_settled(at, size, name) && busy.block == 0)
                    busy = {at, block(at).serial};
            });
        }
        if (busy.block == 0)
            return;
        // Of this one alone, rather than by a walk each time. It may be freed meanwhile.
        const auto is_still_busy = [&] {
            Locked hold(*this);
            const std::uint64_t size = size_at(busy.block);
            return size != 0 && is_in_use(busy) && !is_settled(busy.block, size, name);
        };
        do
            std::this_thread::sleep_for(pause);
        while (is_still_busy());
    }
}

} // namespace multifork::arena
