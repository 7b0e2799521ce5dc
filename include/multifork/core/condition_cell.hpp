#pragma once

#include <multifork/core/lock_cell.hpp>
#include <multifork/liveness/domain.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/platform/export.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

// The condition: a place for each waiter, with a futex word of its own, so that no wake-up can be
// stolen by somebody who came later.
//
//   offset 0    lock          the cell's own lock
//          8    next_ticket   + 1 with every waiter
//          16   changes       + 1 before notifications
//          20   used          places from here on were never used
//          64   places        (word, ticket) * 1024
//
// A place's word:
//
//   0                  free            -> name, by its waiter, the ticket being there (COMMIT:
//   waits) name               waits           -> name | NOTIFIED, by a notifier (COMMIT: notified)
//                                      -> 0, by its waiter when the time runs out
//   name | NOTIFIED    notified        -> 0, by its waiter when it has the user's lock back
//   a dead name        of no account   -> 0, by whoever comes across it
//   a dead name | N.   to be handed on -> first another place becomes NOTIFIED, then this one 0
//
// All under the cell's lock. So a notification always stands in some place until its waiter is
// about to return from the wait. Who dies with it, asleep, woken, or waiting for the user's lock,
// leaves it to the others. If the one who hands it on dies in between, it is handed on twice: a
// wake-up for nothing, which every user of a condition must expect; none is ever lost.
//
// A notifier that dies has notified as many as it has marked. The marks are changed words, and the
// bell pays the wake-ups.
//
// A waiter sleeps on its place's word. It must also hear of the death of whoever has been notified,
// so it looks at all places, and names `changes` and the beacons of the notified. The bell rings
// for a thread that dies in its last operation's space, and the user's lock may lie in another one:
// for this case a waiter also names the beacons of a few who came just before it, who will be
// notified before it.

namespace multifork::core {

inline constexpr std::uint32_t max_condition_waiters = 1024;

struct ConditionCell {
    struct Place {
        std::atomic<liveness::ThreadWord> word;
        std::atomic<std::uint64_t> ticket; // the smallest is the oldest
    };

    LockCell lock;
    std::atomic<std::uint64_t> next_ticket;
    std::atomic<std::uint32_t> changes;
    std::atomic<std::uint32_t> used;
    std::uint64_t spare[5];
    Place places[max_condition_waiters];
};
static_assert(offsetof(ConditionCell, places) == 64 && sizeof(ConditionCell::Place) == 16);

inline constexpr std::uint32_t everybody = ~std::uint32_t{0};

/// Takes a place: from here on the caller can be notified. \return nothing when all are taken
[[nodiscard]] MULTIFORK_API std::optional<std::uint32_t> condition_enter(ConditionCell& cell,
                                                                         liveness::Domain& domain);
/// Sleeps until notified; called without the user's lock. \return whether it was notified. If not,
/// the place is free; if it was, the caller keeps it until condition_leave().
[[nodiscard]] MULTIFORK_API bool condition_sleep(ConditionCell& cell, liveness::Domain& domain,
                                                 std::uint32_t place, platform::Deadline deadline);
/// Gives the place up. \param hand_on  a notification, if there is one, goes to another waiter
MULTIFORK_API void condition_leave(ConditionCell& cell, liveness::Domain& domain,
                                   std::uint32_t place, bool hand_on);
/// Notifies at most `count` waiters, those first who have waited longest.
MULTIFORK_API void condition_notify(ConditionCell& cell, liveness::Domain& domain,
                                    std::uint32_t count);
/// Living waiters that are not notified yet.
[[nodiscard]] MULTIFORK_API std::uint32_t
condition_waiters(const ConditionCell& cell, const liveness::Domain& domain) noexcept;

} // namespace multifork::core
