#pragma once

#include <multifork/core/lock_cell.hpp>
#include <multifork/liveness/domain.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/platform/export.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

// The reader-writer lock: a lock word for the writers, and a ledger of who reads.
//
//   offset 0    writer       who writes, or waits for the readers to go; a LockCell
//          8    recoveries   counted only
//         16    guard        the ledger's own lock
//         24    leaves       + 1 before a reader goes
//         28    used         readers from here on were never used
//         64    readers      (name, count) * 1024
//
//   lock            CAS writer 0 -> name | ONE_STORE: no reader comes in from here on
//                   wait until the ledger is empty
//                   AND writer: ONE_STORE off (COMMIT: writes)
//   unlock          XCHG writer -> 0 (COMMIT); wake all who sleep on the word, readers and writers
//   lock_shared     under the guard, writer being 0: count, then name into the ledger (COMMIT:
//   reads) unlock_shared   under the guard: count - 1, or name to 0 (COMMIT: is gone); then, if
//   there is a
//                   writer, wake it
//
// A reader looks at the writer's word and enters the ledger in one hold of the guard, and a writer
// looks at the ledger in a hold of the guard after it has stored its name. So one of the two sees
// the other. Who reads already may read once more although a writer waits: it would wait for
// itself.
//
// A reader that dies is a dead name, and whoever waits for the ledger to be empty drops it. A
// writer that dies while it waits for the readers has changed nothing: ONE_STORE says so, and the
// next one takes the word as if it were free. A writer that dies later is a dead owner, as in a
// lock.
//
// A writer sleeps on `leaves`, with the beacons of the readers: none can come in meanwhile.
// Readers, and other writers, sleep on the writer's word and beacon. All of them are woken at once,
// so that nobody owes another a wake-up.

namespace multifork::core {

inline constexpr std::uint32_t max_readers = 1024;

struct RwLockCell {
    struct Reader {
        std::atomic<liveness::ThreadWord> name;
        std::atomic<std::uint64_t> count;
    };

    LockCell writer;
    std::atomic<std::uint64_t> recoveries;
    LockCell guard;
    std::atomic<std::uint32_t> leaves;
    std::atomic<std::uint32_t> used;
    std::uint64_t spare[4];
    Reader readers[max_readers];
};
static_assert(offsetof(RwLockCell, readers) == 64 && sizeof(RwLockCell::Reader) == 16);

enum class Shared : std::uint8_t {
    clean,          ///< the caller reads
    inherited,      ///< the caller *writes*, in place of a dead owner: it repairs and unlocks
    timed_out,      ///< not taken
    owner_dead,     ///< not taken: the writer is dead, and the caller did not want to inherit
    would_deadlock, ///< not taken: the caller writes, and was ready to wait for ever
    full,           ///< not taken: max_readers read already
};

/// \param on_death  inherit or refuse
[[nodiscard]] MULTIFORK_API Acquired rwlock_lock(RwLockCell& cell, liveness::Domain& domain,
                                                 platform::Deadline deadline, OnDeath on_death);
/// Gives the lock up; the caller writes.
MULTIFORK_API void rwlock_unlock(RwLockCell& cell) noexcept;
[[nodiscard]] MULTIFORK_API Shared rwlock_lock_shared(RwLockCell& cell, liveness::Domain& domain,
                                                      platform::Deadline deadline,
                                                      OnDeath on_death);
/// \return false when the caller does not read
[[nodiscard]] MULTIFORK_API bool rwlock_unlock_shared(RwLockCell& cell, liveness::Domain& domain);
/// Takes the lock over from a dead writer. \return false when there is none (any more)
[[nodiscard]] MULTIFORK_API bool rwlock_inherit(RwLockCell& cell, liveness::Domain& domain);
/// Living threads that read at this moment.
[[nodiscard]] MULTIFORK_API std::uint32_t rwlock_readers(const RwLockCell& cell,
                                                         const liveness::Domain& domain) noexcept;

} // namespace multifork::core
