#pragma once

#include <multifork/core/lock_cell.hpp>
#include <multifork/liveness/domain.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/platform/export.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

// The counting semaphore with a ledger of who holds its permits.
//
//   offset 0    lock | total | value | flag | changes | capacity | used
//          64   ledger: (name, count) * capacity
//
//   total    permits in existence               changed by one store, under the lock
//   ledger   what each living thread holds      changed by one store, under the lock
//   value    total - sum of the ledger          derived: recomputed by whoever inherits the lock
//
// acquire: an entry's count + 1, or a new entry: count first, then the name (COMMIT); value - 1.
// release: by a holder, its count - 1, or the name to 0 (COMMIT). By somebody who holds none: it
// gives back a
//          permit that somebody else took, if there is one (that is how a semaphore is used as a
//          signal between processes), else total + 1 (COMMIT). Then value + 1.
// A thread that is killed: its entries are dead names, and whoever runs out of permits drops them:
// the
//          permits are back. That happens under the lock, so killed at any instruction a permit is
//          either held by a dead name (comes back) or was never taken.
// A thread that ends in an orderly way: leave() lowers total by what it holds: the permits stay
// taken, as
//          POSIX and Python have it.
//
// Sleepers sleep on flag (which they set to 1), `changes` (bumped by each release, because the bell
// changes no value), bell, relay, and the beacons of the holders.
//
// The ledger has room for max(initial, 256) holders at once. More can only be when a semaphore is
// released beyond its initial value, that is, used as a signal; then a new holder's permit is taken
// as by an orderly end: total - 1 (COMMIT).

namespace multifork::core {

struct SemaphoreCell {
    struct Entry {
        std::atomic<liveness::ThreadWord> name;
        std::atomic<std::uint64_t> count;
    };

    LockCell lock;
    std::atomic<std::int64_t> total;
    std::atomic<std::int64_t> value;
    std::atomic<std::uint32_t> flag;
    std::atomic<std::uint32_t> changes;
    std::uint32_t capacity;          // of the ledger; written once
    std::atomic<std::uint32_t> used; // entries at or above it were never used
    std::uint64_t spare[3];

    [[nodiscard]] Entry* ledger() noexcept { return reinterpret_cast<Entry*>(this + 1); }
    [[nodiscard]] const Entry* ledger() const noexcept {
        return reinterpret_cast<const Entry*>(this + 1);
    }
};
static_assert(sizeof(SemaphoreCell) == 64 && sizeof(SemaphoreCell::Entry) == 16);

inline constexpr std::int64_t max_permits = 0x7fff'ffff;

[[nodiscard]] constexpr std::uint32_t semaphore_ledger_size(std::int64_t initial) {
    return initial < 256 ? 256 : initial < 0xFFFF ? static_cast<std::uint32_t>(initial) : 0xFFFF;
}
[[nodiscard]] constexpr std::size_t semaphore_bytes(std::int64_t initial) {
    return sizeof(SemaphoreCell) + semaphore_ledger_size(initial) * sizeof(SemaphoreCell::Entry);
}

/// Makes a semaphore of zeroed bytes.
MULTIFORK_API void init_semaphore(SemaphoreCell& cell, std::int64_t initial) noexcept;

/// \return false when the time ran out
[[nodiscard]] MULTIFORK_API bool semaphore_acquire(SemaphoreCell& cell, liveness::Domain& domain,
                                                   platform::Deadline deadline);
/// \param limit  permits that may be free afterwards
/// \return false, with nothing changed, when there would be more
[[nodiscard]] MULTIFORK_API bool semaphore_release(SemaphoreCell& cell, liveness::Domain& domain,
                                                   std::int64_t permits,
                                                   std::int64_t limit = max_permits);
/// Whether the ledger names that thread; asked by the thread itself, without the lock.
[[nodiscard]] MULTIFORK_API bool semaphore_knows(const SemaphoreCell& cell,
                                                 liveness::ThreadWord name) noexcept;
/// Settles what the calling thread `name`, which ends in an orderly way, still holds: it stays
/// taken. Waits for nobody. \return false while another thread is inside the semaphore
[[nodiscard]] MULTIFORK_API bool semaphore_try_leave(SemaphoreCell& cell, liveness::Domain& domain,
                                                     liveness::ThreadWord name);
/// Permits free now, those of the dead included.
[[nodiscard]] MULTIFORK_API std::int64_t semaphore_value(SemaphoreCell& cell,
                                                         liveness::Domain& domain);

} // namespace multifork::core
