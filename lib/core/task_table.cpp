#include <multifork/core/task_table.hpp>

#include "core/idle_workers.hpp"
#include "liveness/sleep.hpp"
#include "platform/compiler_barrier.hpp"
#include "platform/futex.hpp"
#include "platform/spin.hpp"

#include <multifork/error.hpp>
#include <multifork/liveness/tuning.hpp>
#include <multifork/platform/mutant.hpp>

#include <sched.h>

namespace multifork::core {
namespace {

// Orders that are not seq_cst pair like this: the state of a slot is stored with release after the
// task or the result, and loaded with acquire before they are read. Everything about sleeping is
// seq_cst: a sleeper sets its flag and then looks, a waker changes the state and then looks at the
// flag.

constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto acquire = std::memory_order_acquire;
constexpr auto release = std::memory_order_release;

using platform::compiler_barrier;

struct Oldest {
    std::uint32_t slot;
    std::uint64_t state;
    std::uint64_t position;
};

/// What lies where `order` says that the task of `position` does.
Oldest entry_of(const TaskTable& table, std::uint64_t position) {
    const std::uint32_t slot = table.order(position).load(relaxed);
    if (slot >= table.shape.slots)
        throw CorruptSharedMemory("a pool's table of tasks names a slot that it does not have: "
                                  "its memory was overwritten; look for a task that writes "
                                  "where it should not");
    return {slot, table.slot(slot).state.load(acquire), position};
}

/// Moves head past tasks that are not queued any more.
/// \return the state of the oldest queued task, and its slot; nothing when none is queued
std::optional<Oldest> oldest_queued(const TaskTable& table) {
    TaskHeader& header = *table.header;
    for (;;) {
        std::uint64_t position = header.head.load(acquire);
        const auto is_queued = [&](const Oldest& entry) {
            return entry.state == TaskState{position, 0, TaskTag::queued}.word();
        };
        // The state is the truth, and a worker that is busy need not look at tail, whose line the
        // parent writes for each task.
        if (const Oldest entry = entry_of(table, position); is_queued(entry))
            return entry;
        if (position >= header.tail.load())
            return std::nullopt;
        // Only what is seen after tail says that a task is not queued any more, not only not yet.
        if (const Oldest entry = entry_of(table, position); is_queued(entry))
            return entry;
        // Taken or withdrawn, and who did it has not come to this yet; or `position` is out of
        // date, and then the exchange fails.
        header.head.compare_exchange_strong(position, position + 1);
    }
}

std::optional<Oldest> look_and_spin(const TaskTable& table) {
    const unsigned spins = liveness::tuning().spins.load(relaxed);
    const unsigned looks = spins + liveness::tuning().yields.load(relaxed);
    for (unsigned look = 0;; ++look) {
        if (auto oldest = oldest_queued(table))
            return oldest;
        if (look >= looks || table.header->stop.load(relaxed) != 0)
            return std::nullopt;
        if (look < spins)
            platform::spin_pause();
        else
            ::sched_yield();
    }
}

/// Sleeps until there may be a task. \return false when there is none and the pool stops
bool sleep_idle(const TaskTable& table, std::uint32_t seat) {
    TaskHeader& header = *table.header;
    const LyingDown lying(table, seat);
    liveness::Sleep sleep(*table.domain);
    const std::uint64_t tail = header.tail.load();
    header.idle.store(somebody_may_sleep); // before the last look: who puts from here on wakes
    if (oldest_queued(table))
        return true;
    if (header.stop.load() != 0)
        return false;
    sleep.while_equal(header.idle, somebody_may_sleep);
    lying.name(sleep);
    sleep.while_equal(header.tail, tail);
    sleep.while_equal(header.stop, 0);
    if (sleep.wait(platform::Deadline::never()).slept)
        header.idle.store(somebody_may_sleep); // others may be asleep still
    return true;
}

} // namespace

bool task_put(const TaskTable& table, std::uint32_t slot) noexcept {
    TaskHeader& header = *table.header;
    const std::uint64_t position = header.tail.load(relaxed); // written by the caller alone
    const auto is_full = [&] {
        if (position - header.head_seen < table.shape.slots)
            return false; // the workers write head's line for each task
        header.head_seen = header.head.load(acquire);
        return position - header.head_seen >= table.shape.slots;
    };
    if (is_full()) {
        // Entries of tasks that were withdrawn, which no worker has come past yet.
        try {
            static_cast<void>(oldest_queued(table));
        } catch (const CorruptSharedMemory&) {
            return false; // the next worker that looks says so
        }
        if (is_full())
            return false;
    }
    compiler_barrier();
    table.slot(slot).state.store(TaskState{position, 0, TaskTag::queued}.word(), release); // COMMIT
    compiler_barrier();
    table.order(position).store(slot, relaxed); // before the store of tail, with which it is read
    header.tail.store(position + 1);
    return true;
}

void task_wake(const TaskTable& table, std::uint64_t count) noexcept {
    const std::uint32_t seats = table.shape.seats;
    wake_workers(table, count < seats ? static_cast<std::uint32_t>(count) : seats);
}

bool task_withdraw(const TaskTable& table, std::uint32_t slot) noexcept {
    std::uint64_t state = table.slot(slot).state.load(acquire);
    return TaskState::of(state).tag == TaskTag::queued &&
           table.slot(slot).state.compare_exchange_strong(state, 0);
}

void task_stop(const TaskTable& table) noexcept {
    table.header->stop.store(1);
    task_wake_all(table);
}

void task_wake_all(const TaskTable& table) noexcept {
    table.header->idle.store(nobody_sleeps);
    platform::futex_wake(table.header->idle, platform::wake_everybody);
}

void seat_clear(const TaskTable& table, std::uint32_t seat) noexcept {
    Seat& cleared = table.seat(seat);
    cleared.name.store(liveness::nobody);
    cleared.done_tail.store(0);
    cleared.error.store(0);
    cleared.lies_on.store(0);
    cleared.status.store(SeatStatus::starting);
}

void seat_take(const TaskTable& table, std::uint32_t seat) {
    table.seat(seat).name.store(liveness::enter(*table.domain));
    tell_parent(table);
}

void seat_say(const TaskTable& table, std::uint32_t seat, SeatStatus status) noexcept {
    table.seat(seat).status.store(status);
    tell_parent(table);
}

void tell_parent(const TaskTable& table) noexcept {
    std::atomic<std::uint32_t>& listening = table.header->listening;
    if (listening.load() != 0 && listening.exchange(0) != 0)
        platform::futex_wake(listening, 1);
}

std::optional<std::uint32_t> task_take(const TaskTable& table, std::uint32_t seat) {
    TaskHeader& header = *table.header;
    for (;;) {
        liveness::enter(*table.domain); // the user's task may have rung another space's bell last
        const std::optional<Oldest> oldest = look_and_spin(table);
        if (!oldest) {
            if (!sleep_idle(table, seat))
                return std::nullopt;
            continue;
        }
        std::uint64_t state = oldest->state;
        if (MULTIFORK_MUTANT(head_first)) {
            std::uint64_t position = oldest->position;
            header.head.compare_exchange_strong(position, position + 1);
        }
        compiler_barrier();
        if (!table.slot(oldest->slot)
                 .state.compare_exchange_strong( // COMMIT
                     state, TaskState{oldest->position, seat, TaskTag::taken}.word()))
            continue; // another was quicker, or the parent has withdrawn it
        compiler_barrier();
        std::uint64_t position = oldest->position;
        header.head.compare_exchange_strong(position, position + 1);
        // What is left is for somebody who may not have been woken. Who sets `idle` after this look
        // at it looks for tasks himself after that.
        if (header.idle.load() != 0 && header.head.load() != header.tail.load() &&
            !MULTIFORK_MUTANT(keep_asleep))
            wake_workers(table, 1);
        return oldest->slot;
    }
}

void task_done(const TaskTable& table, std::uint32_t seat, std::uint32_t slot) noexcept {
    TaskSlot& done = table.slot(slot);
    const std::uint64_t position = TaskState::of(done.state.load(relaxed)).position;
    Seat& mine = table.seat(seat);
    const std::uint32_t entry = mine.done_tail.load(relaxed); // written by the caller alone
    if (MULTIFORK_MUTANT(ring_first)) {
        table.done(seat, entry).store(slot, relaxed);
        mine.done_tail.store(entry + 1);
    }
    compiler_barrier();
    done.state.store(TaskState{position, seat, TaskTag::done}.word(), release); // COMMIT
    compiler_barrier();
    table.done(seat, entry).store(slot, relaxed); // before the store of done_tail
    mine.done_tail.store(entry + 1);
    tell_parent(table);
}

void task_listen(const TaskTable& table, const platform::Deadline& deadline,
                 const std::function<bool()>& found) {
    liveness::enter(*table.domain);
    liveness::Sleep sleep(*table.domain);
    table.header->listening.store(1); // before the look: who has news from here on wakes
    if (found())
        return;
    sleep.while_equal(table.header->listening, 1);
    for (std::uint32_t i = 0; i < table.shape.seats && !sleep.full(); ++i) {
        const liveness::ThreadWord name = table.seat(i).name.load();
        if (name != liveness::nobody && !sleep.while_alive(name))
            return; // the caller looks again, and finds it dead
    }
    sleep.wait(deadline);
}

} // namespace multifork::core
