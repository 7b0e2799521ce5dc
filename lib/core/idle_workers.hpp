#pragma once

#include "liveness/sleep.hpp"

#include <multifork/core/task_table.hpp>

#include <atomic>
#include <cstdint>

// Where a pool's idle workers lie, and whom of them to wake.
//
// The scheduler wakes a sleeper on the core on which it fell asleep, or on its waker's. Two that
// fell asleep on one core may be woken there both, one behind the other, and the other core stays
// idle for up to a tick, for nobody tells it: a job of two milliseconds takes nearly twice as long.
// The one that waits does not run, and so cannot move. And one that is woken on the core of the
// parent may take it away from the parent before that has handed out its next task.
//
// So an idle worker says in its seat on which core it lies, and moves over before it falls asleep
// if another lies there already. Who wakes one takes one that lies on another core than his own, if
// there is one.
//
// `Seat::lies_on` is a hint: a worker writes where it lies, and who wakes it 0. That nobody sleeps
// while there is a task rests on `idle` and `tail` alone (task_table.hpp). When a worker dies
// asleep its word stays until the seat is cleared; who tries to wake it finds nobody, and wakes
// another by `idle`. When a waker dies between the word and the wake-up, his bell rings, and the
// parent wakes all.

namespace multifork::core {

// What `idle` says.
inline constexpr std::uint32_t nobody_sleeps = 0;
inline constexpr std::uint32_t somebody_may_sleep = 1; // the only value to sleep on
inline constexpr std::uint32_t others_may_sleep = 2;   // one was woken, and has not come yet

/// Wakes `count` workers, or all that sleep.
void wake_workers(const TaskTable& table, std::uint32_t count) noexcept;

/// A worker's own: it lies down to sleep, from here to the end of this. Moving costs some ten
/// microseconds, of a worker that has nothing to do; its affinity is what it was before.
class LyingDown {
public:
    LyingDown(const TaskTable& table, std::uint32_t seat) noexcept;
    ~LyingDown() { word_.store(0); }
    LyingDown(const LyingDown&) = delete;
    LyingDown& operator=(const LyingDown&) = delete;

    void name(liveness::Sleep& sleep) const noexcept { sleep.while_equal(word_, value_); }

private:
    std::atomic<std::uint32_t>& word_;
    std::uint32_t value_;
};

} // namespace multifork::core
