#pragma once

#include <multifork/arena/crossing.hpp>
#include <multifork/arena/object.hpp>
#include <multifork/core/rwlock_cell.hpp>
#include <multifork/format.hpp>
#include <multifork/sync/lock.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <shared_mutex> // std::shared_lock: what an RWLock is for
#include <string>
#include <string_view>

namespace multifork {

/// One thread, of any process, writes, or several read: std::shared_timed_mutex's interface, so
/// that std::shared_lock, std::unique_lock and std::scoped_lock work.
///
/// \code
///   mp::RWLock lock;
///   { std::shared_lock read{lock}; ... }   // beside other readers
///   { std::scoped_lock write{lock}; ... }  // alone
/// \endcode
///
/// As soon as a writer waits no further reader comes in, so readers cannot starve it; who reads
/// already may read once more. A reader that wants to write unlocks first.
///
/// \threads   distinct and shared objects are safe; at most 1024 read at a time
/// \processes safe
/// \fork      the child inherits the handle, never the ownership
/// \crash     a reader that dies is gone, and a writer that waited for it goes on. The death of a
///            writer is seen at once by all who come and all who sleep, as that of a Lock's owner.
///            The death of a waiter is seen by nobody
/// \cost      write: two compare-and-swaps, two exchanges and an AND a pair; read: two
///            compare-and-swaps and two exchanges. No system call unless somebody must sleep or be
///            woken
class MULTIFORK_API RWLock {
public:
    using multifork_describable = void;

    /// Makes an unnamed lock, free, in the process tree's arena. \throws OutOfSharedMemory
    explicit RWLock(on_owner_death policy = on_owner_death::refuse);
    /// Makes a lock that the next who comes after a writer's death repairs, be it a reader or a
    /// writer: `repair` runs alone. If it throws, the lock stays dead and the exception leaves
    /// lock() or lock_shared().
    /// See Lock about where such a lock can go.
    explicit RWLock(std::function<void()> repair);

    /// \name Named locks, for programs that are not related
    /// \throws InvalidArgument, NotFound, AlreadyExists, LayoutMismatch, OutOfSharedMemory
    /// @{
    static RWLock create(std::string_view name, on_owner_death policy = on_owner_death::refuse);
    static RWLock open(std::string_view name, on_owner_death policy = on_owner_death::refuse);
    static RWLock open_or_create(std::string_view name,
                                 on_owner_death policy = on_owner_death::refuse);
    /// Takes the name away; who has the lock open keeps it. \return false when there was none
    static bool remove(std::string_view name);
    /// @}

    /// Waits until nobody writes or reads, and writes.
    /// \throws OwnerDied      when a writer died; the lock is not taken
    /// \throws WouldDeadlock  when the calling thread reads or writes already
    void lock() const { static_cast<void>(lock_before(platform::Deadline::never())); }
    /// Writes if nobody writes or reads. \return whether the lock was taken \throws OwnerDied
    [[nodiscard]] bool try_lock() const { return lock_before(platform::Deadline::poll()); }
    /// Waits at most `wait` on the monotonic clock; zero or less does not wait.
    /// \return whether the lock was taken \throws OwnerDied
    template <class Rep, class Period>
    [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& wait) const {
        return lock_before(platform::Deadline::after(wait));
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool
    try_lock_until(const std::chrono::time_point<Clock, Duration>& moment) const {
        return lock_before(platform::Deadline::at(moment));
    }
    /// \throws NotOwner when the calling thread does not write; nothing changes then
    void unlock() const;

    /// Waits until nobody writes or waits to write, and reads. A thread may read several times, and
    /// unlocks as often.
    /// \throws OwnerDied       when a writer died; the lock is not taken
    /// \throws WouldDeadlock   when the calling thread writes
    /// \throws TooManyThreads  when 1024 threads read already
    void lock_shared() const { static_cast<void>(lock_shared_before(platform::Deadline::never())); }
    /// Reads if nobody writes or waits to. \return whether the lock was taken
    /// \throws OwnerDied, TooManyThreads
    [[nodiscard]] bool try_lock_shared() const {
        return lock_shared_before(platform::Deadline::poll());
    }
    template <class Rep, class Period>
    [[nodiscard]] bool try_lock_shared_for(const std::chrono::duration<Rep, Period>& wait) const {
        return lock_shared_before(platform::Deadline::after(wait));
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool
    try_lock_shared_until(const std::chrono::time_point<Clock, Duration>& moment) const {
        return lock_shared_before(platform::Deadline::at(moment));
    }
    /// \throws NotOwner when the calling thread does not read; nothing changes then
    void unlock_shared() const;

    /// Makes a lock whose writer died whole again; see Lock::recover().
    bool recover(const std::function<void()>& repair = [] {}) const;

    /// Who writes at this moment; empty when nobody does. Never blocks.
    [[nodiscard]] std::optional<Owner> writer() const;
    /// How many threads read at this moment.
    [[nodiscard]] std::size_t readers() const noexcept;
    /// How often a dead writer's lock was made whole.
    [[nodiscard]] std::uint64_t recoveries() const noexcept;
    /// `<RWLock free>`, `<RWLock read by 2>`, `<RWLock written by Process-2 pid 4243>`,
    /// `<RWLock owner died>`
    [[nodiscard]] std::string to_string() const;

    [[nodiscard]] liveness::Domain& domain() const noexcept { return *domain_; }

    /// \internal How the handle gets into another process (channel/crossing.hpp).
    /// @{
    static constexpr arena::Kind crossing_kind = arena::Kind::rwlock;
    [[nodiscard]] arena::Crossing crossing() const;
    static RWLock arrive(const arena::Crossing& crossing);
    /// @}

private:
    RWLock(arena::Object object, on_owner_death policy);
    static RWLock named(std::string_view name, arena::OpenMode mode, on_owner_death policy);
    [[nodiscard]] bool lock_before(platform::Deadline deadline) const;
    [[nodiscard]] bool lock_shared_before(platform::Deadline deadline) const;
    void run_repair(const std::function<void()>& repair) const;

    core::RwLockCell* cell_;
    liveness::Domain* domain_;
    core::OnDeath on_death_;
    arena::Object object_;
    std::function<void()> repair_;
};

} // namespace multifork
