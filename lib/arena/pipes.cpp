#include "arena/heap.hpp"
#include "arena/heap_lock.hpp"
#include "liveness/sleep.hpp"

#include <multifork/platform/mutant.hpp>

#include <algorithm>
#include <atomic>

// The ledgers of pipes: core/pipe_cell.hpp has the words and their rules. What is here needs the
// table of processes.

namespace multifork::arena {
namespace {

using core::PipeCell;
constexpr auto relaxed = std::memory_order_relaxed; // under the heap's lock

// A sleeper can name 128 words; it has others to name too.
constexpr std::uint32_t most_words = 100;

/// Whether the kernel has marked that thread: its process was killed, or has become another program
/// by exec. A thread that leaves in order is an anchor no more.
bool was_killed(const liveness::Domain& domain, liveness::ThreadWord name) noexcept {
    const liveness::Beacon* const beacon = liveness::beacon_of(domain, name);
    // The word first: a slot that is taken again says so there before its generation grows.
    return beacon != nullptr &&
           beacon->node.word.load() == (platform::futex_owner_died | platform::futex_waiters) &&
           beacon->generation.load() == liveness::generation_of(name);
}

/// An entry has changed. Those that look from here on see that; those that have looked before and
/// are not asleep yet see this number changed; those that sleep are woken. If this process is
/// killed in between, they hear of it by its beacon.
void tell_sleepers(PipeCell& pipe) noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    pipe.changes.fetch_add(1);
    if (!MULTIFORK_MUTANT(silent_end))
        platform::futex_wake(pipe.changes, platform::wake_everybody);
}

} // namespace

bool Heap::is_pipe(std::uint64_t offset) const noexcept {
    // acquire: pairs with the release in allocate()
    return size_at(offset) >= sizeof(BlockHeader) + sizeof(PipeCell) + sizeof(core::RingHeader) &&
           block(offset).kind.load(std::memory_order_acquire) == Kind::pipe;
}

Heap::Life Heap::life_of(std::uint64_t entry) const noexcept {
    const std::uint32_t index = core::pipe_entry_record(entry);
    if (index >= used_records())
        return Life::gone;
    const ProcessRecord& record = records()[index];
    const std::uint64_t serial = record.serial.load();
    if (serial == 0 || static_cast<std::uint32_t>(serial) != core::pipe_entry_serial(entry))
        return Life::gone;
    const liveness::ThreadWord anchor = record.anchor.load();
    Life life = Life::watched;
    if (anchor == liveness::nobody || !liveness::is_alive(domain_, anchor)) {
        if (anchor != liveness::nobody && was_killed(domain_, anchor))
            life = Life::gone;
        else
            life = is_gone(record) ? Life::gone : Life::unwatched;
    }
    // The record may have come to mean another process between the two looks at it.
    return record.serial.load() == serial ? life : Life::gone;
}

bool Heap::anybody_holds(const PipeCell& pipe) const noexcept {
    const std::uint32_t used = std::min(pipe.used.load(relaxed), PipeCell::capacity);
    return std::any_of(pipe.entries.begin(), pipe.entries.begin() + used, [&](const auto& entry) {
        const std::uint64_t word = entry.load(relaxed);
        return word != 0 && life_of(word) != Life::gone;
    });
}

Heap::PipeEntry Heap::put_pipe_entry(PipeCell& pipe, std::uint64_t word) noexcept {
    const std::uint32_t used = std::min(pipe.used.load(relaxed), PipeCell::capacity);
    std::uint32_t index = 0;
    while (index < used && pipe.entries[index].load(relaxed) != 0)
        ++index;
    if (index == PipeCell::capacity) // now it pays to ask who still lives
        for (index = 0; index < used; ++index)
            if (life_of(pipe.entries[index].load(relaxed)) == Life::gone)
                break;
    if (index == PipeCell::capacity)
        return {};
    if (index >= used)
        pipe.used.store(index + 1, relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    pipe.entries[index].store(word); // COMMIT
    return {index, word};
}

Heap::PipeEntry Heap::join_pipe(std::uint64_t offset, ProcessId process,
                                std::uint64_t end) noexcept {
    Locked hold(*this);
    return put_pipe_entry(pipe_in(offset),
                          core::make_pipe_entry(process.record, process.serial, {}) | end);
}

Heap::PipeEntry Heap::adopt_pipe(std::uint64_t offset, ProcessId process, PipeEntry from) noexcept {
    Locked hold(*this);
    if (!is_pipe(offset) || block(offset).owner.load(relaxed) == 0 ||
        from.index >= PipeCell::capacity || (from.word & core::pipe_travels_bit) == 0)
        return {};
    PipeCell& pipe = pipe_in(offset);
    // The serials of processes never come back, so this is that very entry, of that very pipe. Of a
    // process that is gone it means nothing: somebody may have seen the end of the stream.
    if (pipe.entries[from.index].load(relaxed) != from.word || life_of(from.word) == Life::gone)
        return {};
    const std::uint64_t word =
        core::make_pipe_entry(process.record, process.serial, {}) | (from.word & 3);
    // COMMIT: from one process's to the other's. Who has seen the old one, and is not asleep yet,
    // has named this word; who sleeps is woken, or by the bell if this process is killed here.
    pipe.entries[from.index].store(word);
    tell_sleepers(pipe); // they slept on the sender's beacon
    return {from.index, word};
}

void Heap::leave_pipe(std::uint64_t offset, PipeEntry entry) noexcept {
    if (!attached())
        return;
    Locked hold(*this);
    if (entry.word == 0 || entry.index >= PipeCell::capacity || !is_pipe(offset))
        return;
    PipeCell& pipe = pipe_in(offset);
    if (pipe.entries[entry.index].load(relaxed) != entry.word)
        return;
    pipe.entries[entry.index].store(0); // COMMIT
    tell_sleepers(pipe);
    if (block(offset).owner.load(relaxed) == retired && !anybody_holds(pipe))
        free_unreachable();
}

Heap::Holders Heap::pipe_holders(const PipeCell& pipe, core::PipeRole role,
                                 liveness::Sleep* sleep) const noexcept {
    Holders found;
    std::uint32_t words = 0;
    const std::uint32_t used = std::min(pipe.used.load(), PipeCell::capacity);
    for (std::uint32_t i = 0; i < used; ++i) {
        const std::uint64_t entry = pipe.entries[i].load();
        if (entry == 0 || !core::pipe_entry_is(entry, role))
            continue;
        const Life life = life_of(entry);
        if (life == Life::gone)
            continue;
        ++found.living;
        if (sleep == nullptr)
            return found; // one is all that such a caller wants to know of
        const liveness::ThreadWord anchor = records()[core::pipe_entry_record(entry)].anchor.load();
        if (MULTIFORK_MUTANT(blind_end))
            continue;
        if (life == Life::unwatched || words >= most_words || !sleep->while_alive(anchor)) {
            found.unwatched = true;
            continue;
        }
        ++words;
        // One that travels may come to be that of another process, which dies before it says so:
        // then the entry itself differs.
        if ((entry & core::pipe_travels_bit) != 0 && !MULTIFORK_MUTANT(unseen_traveller)) {
            sleep->while_equal(pipe.entries[i], entry);
            ++words;
        }
    }
    return found;
}

bool Heap::pipe_is_deserted(std::uint64_t offset, core::PipeRole role) {
    Locked hold(*this);
    return pipe_holders(pipe_in(offset), role, nullptr).living == 0;
}

} // namespace multifork::arena
