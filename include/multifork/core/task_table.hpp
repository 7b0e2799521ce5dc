#pragma once

#include <multifork/liveness/domain.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/platform/export.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

// The table of tasks of a pool: one process, the parent, hands out tasks; its workers take them.
//
//   offset 0    header    tail, head_seen | head | idle, listening, stop, cores
//          192  workers   128 bytes a seat: what the worker who sits there says
//          ...  order     4 bytes an entry: the slots of the queued tasks, oldest first, as a ring
//          ...  done      4 bytes an entry, a ring for each seat: slots that its worker is done
//          with
//          ...  slots     512 bytes each, from a multiple of 64 on: words | task | result
//
// There is no lock, and so nothing that a dead worker could hold. The truth about a task is the
// `state` of its slot, one word, and one store or compare-and-swap changes what the task is:
//
//   free               -> queued(p)      by the parent. The task is in the slot before
//   queued(p)          -> taken(p, w)    by worker w, a compare-and-swap
//   queued(p)          -> free           by the parent, a compare-and-swap: the task is withdrawn
//   taken(p, w)        -> done(p, w)     by worker w. The result is in the slot before
//   taken(p, w)        -> free, queued   by the parent, when w is dead: it has been reaped, so that
//                                        its words are final
//   done(p, w)         -> free           by the parent, when it has read the result
//
// p counts the tasks that were queued, and is never used again. So a worker who has been away since
// it read p cannot take a task that lies in the same slot later.
//
// Who writes what. The parent alone: tail, order, the task in a slot that is free or whose worker
// is dead. A worker alone: its seat, its ring of done slots, the result in a slot that it has
// taken. Both: head, which moves past p as soon as anybody sees that the task of p is not queued
// any more; it is derived, as is the ring of done slots:
//
//   put:   task | state = queued(p) (COMMIT) | order[p] | tail = p + 1 | wake
//   take:  order[head] | state = taken(p, w) (COMMIT) | head + 1
//   done:  result | state = done(p, w)       (COMMIT) | done ring | wake the parent
//
//   a worker dies        the parent finds, when it has reaped it
//   before taken         the task still queued: others take it
//   after taken          taken by the dead: the one task that has failed
//   after done           done by the dead, whether or not its ring says so: the result counts
//
// The parent looks for the tasks of a dead worker in the slots, not in the rings.
//
// order[p] is written after the state, and tail after it: who finds queued(p) in the slot that
// order[p] names has found the task of p, whatever tail says; who finds anything else there knows
// only if he has seen tail beyond p before that the task of p is not queued any more.
//
// A slot has its number in `order` at most as often as it was queued, and the parent never lets
// tail run away from head by more than the ring has entries.
//
// Sleeping. Workers sleep on `idle`, which they set to 1 before they look once more, and on a word
// of their own (lib/core/idle_workers.hpp). Who finds `idle` set wakes as many as he has put tasks,
// by their own words; if these were not enough, he makes it 2 (others may be asleep still) and
// wakes by it, and when there were not so many, he clears it. A woken worker sets it to 1 again,
// for the same reason, and if it leaves tasks behind it wakes the next. If it dies before that, its
// bell rings, and the parent wakes all when it has reaped it. The parent sleeps on `listening`,
// which who wakes it clears, and on the beacons of its workers.

namespace multifork::core {

enum class TaskTag : std::uint32_t { free, queued, taken, done };

/// The state of a slot in parts: position << 24 | seat << 8 | tag.
struct TaskState {
    std::uint64_t position = 0;
    std::uint32_t seat = 0;
    TaskTag tag = TaskTag::free;

    [[nodiscard]] constexpr std::uint64_t word() const noexcept {
        return position << 24 | std::uint64_t{seat} << 8 | static_cast<std::uint64_t>(tag);
    }
    [[nodiscard]] static constexpr TaskState of(std::uint64_t word) noexcept {
        return {word >> 24, static_cast<std::uint32_t>(word >> 8) & 0xFFFF,
                static_cast<TaskTag>(word & 0xFF)};
    }
};
inline constexpr std::uint32_t max_seats = 0xFFFF;

inline constexpr std::size_t inline_task_bytes = 192;
inline constexpr std::size_t inline_result_bytes = 256;

/// What came of a task.
enum class TaskOutcome : std::uint32_t {
    done,
    failed,    ///< the result is an exception
    come_again ///< there is more to do: the parent queues it again
};

/// A small task is two lines of the cache for its worker, and its result one more.
struct alignas(64) TaskSlot {
    std::atomic<std::uint64_t> state;

    // The task, by the parent, which also sets the worker's words to zero:
    std::uint64_t block;   ///< offset of the block that holds it; 0: it lies in `task`
    std::uint64_t bytes;   ///< its length
    std::uint32_t first;   ///< of a block with many items: which of them
    std::uint32_t limited; ///< 1: it has a deadline, and the parent wants to know when it began;
                           ///< 2: its parts have, which say so themselves

    // By the worker:
    std::atomic<std::int64_t> began_ns;
    std::uint64_t result_block; ///< as `block`; owned by the table as item `position`
    std::uint64_t result_bytes;
    TaskOutcome outcome;

    alignas(64) std::array<std::byte, inline_task_bytes> task;
    std::array<std::byte, inline_result_bytes> result;
};
static_assert(sizeof(TaskSlot) == 512);

enum class SeatStatus : std::uint32_t { starting, ready, retired, failed };

/// What the worker who sits there says.
struct Seat {
    std::atomic<liveness::ThreadWord> name; ///< of its main thread; nobody: not there yet
    std::atomic<std::uint32_t> done_tail;   ///< how many slots it has entered into its ring
    std::atomic<SeatStatus> status;
    std::atomic<std::uint32_t> error;   ///< of a failed one: type length << 16 | text length
    std::atomic<std::uint32_t> lies_on; ///< 0, or on which core it sleeps, + 1: a hint for wakers
    std::array<char, 104> text;
};
static_assert(sizeof(Seat) == 128);

struct TaskHeader {
    alignas(64) std::atomic<std::uint64_t> tail;
    std::uint64_t head_seen; ///< by the parent, for itself: head was there, or is further
    alignas(64) std::atomic<std::uint64_t> head;
    alignas(64) std::atomic<std::uint32_t> idle; ///< 1, 2: a worker may be asleep
    std::atomic<std::uint32_t> listening;        ///< the parent may be asleep
    std::atomic<std::uint32_t> stop;             ///< 1: workers end when nothing is queued
    std::atomic<std::uint32_t> cores;            ///< that the workers have together; by the parent
};
static_assert(sizeof(TaskHeader) == 192);

struct TaskShape {
    std::uint32_t seats = 0; ///< > 0
    std::uint32_t slots = 0; ///< a power of two

    [[nodiscard]] constexpr std::size_t order_offset() const {
        return sizeof(TaskHeader) + std::size_t{seats} * sizeof(Seat);
    }
    [[nodiscard]] constexpr std::size_t done_offset() const {
        return order_offset() + std::size_t{slots} * 4;
    }
    [[nodiscard]] constexpr std::size_t slots_offset() const {
        return (done_offset() + std::size_t{seats} * slots * 4 + 63) / 64 * 64;
    }
    [[nodiscard]] constexpr std::size_t bytes() const {
        return slots_offset() + std::size_t{slots} * sizeof(TaskSlot);
    }
};

/// The table as one process sees it.
struct TaskTable {
    TaskHeader* header = nullptr;
    TaskShape shape;
    liveness::Domain* domain = nullptr;

    [[nodiscard]] Seat& seat(std::uint32_t i) const noexcept {
        return reinterpret_cast<Seat*>(header + 1)[i];
    }
    [[nodiscard]] std::atomic<std::uint32_t>& order(std::uint64_t position) const noexcept {
        return words(shape.order_offset())[position & (shape.slots - 1)];
    }
    [[nodiscard]] std::atomic<std::uint32_t>& done(std::uint32_t seat,
                                                   std::uint32_t entry) const noexcept {
        return words(
            shape.done_offset())[std::size_t{seat} * shape.slots + (entry & (shape.slots - 1))];
    }
    [[nodiscard]] TaskSlot& slot(std::uint32_t i) const noexcept {
        return *reinterpret_cast<TaskSlot*>(bytes() + shape.slots_offset() +
                                            std::size_t{i} * sizeof(TaskSlot));
    }

    /// \name Soon this slot will be written to, or its result read: another core has its lines
    /// @{
    void expect_task(std::uint32_t i) const noexcept {
        __builtin_prefetch(&slot(i), 1);
        __builtin_prefetch(&slot(i).task, 1);
    }
    void expect_result(std::uint32_t i) const noexcept {
        __builtin_prefetch(&slot(i));
        __builtin_prefetch(&slot(i).result);
    }
    /// @}

private:
    [[nodiscard]] std::byte* bytes() const noexcept { return reinterpret_cast<std::byte*>(header); }
    [[nodiscard]] std::atomic<std::uint32_t>* words(std::size_t offset) const noexcept {
        return reinterpret_cast<std::atomic<std::uint32_t>*>(bytes() + offset);
    }
};

/// \name For the parent, one thread at a time
/// @{

/// Queues the task that lies in the slot, which is free, or taken by a dead worker.
/// \return false when there is no room in the order: then a worker has to take something first
[[nodiscard]] MULTIFORK_API bool task_put(const TaskTable& table, std::uint32_t slot) noexcept;
/// Wakes workers for `count` tasks that were put.
MULTIFORK_API void task_wake(const TaskTable& table, std::uint64_t count) noexcept;
/// Takes back a task that no worker has taken. \return false when one has
[[nodiscard]] MULTIFORK_API bool task_withdraw(const TaskTable& table, std::uint32_t slot) noexcept;
/// Workers end when nothing is queued any more.
MULTIFORK_API void task_stop(const TaskTable& table) noexcept;
/// Has every worker look around: one of them has died, and may have owed a wake-up.
MULTIFORK_API void task_wake_all(const TaskTable& table) noexcept;
/// A seat whose worker is gone is for the next one.
MULTIFORK_API void seat_clear(const TaskTable& table, std::uint32_t seat) noexcept;
/// @}

/// \name For a worker
/// @{

/// Says that the calling thread sits there.
MULTIFORK_API void seat_take(const TaskTable& table, std::uint32_t seat);
/// Says how it goes, and tells the parent.
MULTIFORK_API void seat_say(const TaskTable& table, std::uint32_t seat, SeatStatus status) noexcept;
/// Waits for a task and takes it. \return its slot; nothing when the pool stops
/// \throws CorruptSharedMemory
[[nodiscard]] MULTIFORK_API std::optional<std::uint32_t> task_take(const TaskTable& table,
                                                                   std::uint32_t seat);
/// The result lies in the slot.
MULTIFORK_API void task_done(const TaskTable& table, std::uint32_t seat,
                             std::uint32_t slot) noexcept;
/// @}

/// Wakes the parent if it sleeps.
MULTIFORK_API void tell_parent(const TaskTable& table) noexcept;

/// The parent looks around, and if it finds nothing sleeps until a worker is done or says
/// something, one of them dies, somebody calls tell_parent(), or the time is up.
///
/// \param deadline  is read when `found` has said no, which may set it
/// \param found     looks, and says whether there was anything; called once
MULTIFORK_API void task_listen(const TaskTable& table, const platform::Deadline& deadline,
                               const std::function<bool()>& found);

} // namespace multifork::core
