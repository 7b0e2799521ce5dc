#pragma once

#include <multifork/arena/crossing.hpp>
#include <multifork/arena/object.hpp>
#include <multifork/core/lock_cell.hpp>
#include <multifork/format.hpp>
#include <multifork/sync/lock.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

// What lies in shared memory: a Lock, and how often its owner holds it.
//
//   offset 0    word         the lock (core/lock_cell.hpp)
//          8    recoveries   counted only
//          16   depth        how often the owner holds it; written by the owner alone
//
// The word says who holds the lock, and its stores commit. The depth means something only to a
// thread whose name the word has: who takes the lock stores 1, whatever a dead owner has left.

namespace multifork {

/// A Lock that its owner may lock again: it is free when it has been unlocked as often as it was
/// locked.
///
/// \code
///   mp::RLock lock;
///   std::scoped_lock outer{lock};
///   { std::scoped_lock inner{lock}; }
/// \endcode
///
/// For everything else see Lock.
///
/// \threads   distinct and shared objects are safe
/// \processes safe
/// \fork      the child inherits the handle, never the ownership
/// \crash     as for Lock: however often the dead owner held it, one recover() makes it free
/// \cost      the first lock() a compare-and-swap, the last unlock() an exchange, all others two
///            loads and a store; no system call unless somebody must sleep or be woken
class MULTIFORK_API RLock {
public:
    using multifork_describable = void;

    /// Makes an unnamed lock, free, in the process tree's arena. \throws OutOfSharedMemory
    explicit RLock(on_owner_death policy = on_owner_death::refuse);
    /// Makes a lock that the next locker after a death repairs; see Lock. In `repair` the lock is
    /// held once, and may be locked further.
    explicit RLock(std::function<void()> repair);

    /// \name Named locks, for programs that are not related
    /// \throws InvalidArgument, NotFound, AlreadyExists, LayoutMismatch, OutOfSharedMemory
    /// @{
    static RLock create(std::string_view name, on_owner_death policy = on_owner_death::refuse);
    static RLock open(std::string_view name, on_owner_death policy = on_owner_death::refuse);
    static RLock open_or_create(std::string_view name,
                                on_owner_death policy = on_owner_death::refuse);
    /// Takes the name away; who has the lock open keeps it. \return false when there was none
    static bool remove(std::string_view name);
    /// @}

    /// Takes the lock, waiting as long as it takes, or holds it once more.
    /// \throws OwnerDied  when its owner died; it is not taken
    void lock() const {
        if (!hold_once_more()) {
            lock_.lock();
            hold_first();
        }
    }

    /// Takes the lock if it is free or the caller's own. \return whether it was taken
    /// \throws OwnerDied
    [[nodiscard]] bool try_lock() const {
        return hold_once_more() || (lock_.try_lock() && hold_first());
    }

    /// Takes the lock, waiting at most `wait` on the monotonic clock; zero or less does not wait.
    /// \return whether it was taken \throws OwnerDied
    template <class Rep, class Period>
    [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& wait) const {
        return hold_once_more() || (lock_.try_lock_for(wait) && hold_first());
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool
    try_lock_until(const std::chrono::time_point<Clock, Duration>& moment) const {
        return hold_once_more() || (lock_.try_lock_until(moment) && hold_first());
    }

    /// Holds the lock once less; gives it up with the last.
    /// \throws NotOwner when the calling thread does not hold it; nothing changes then
    void unlock() const;

    /// How often the calling thread holds the lock; 0 when it does not.
    [[nodiscard]] std::uint64_t depth() const;

    /// As Lock::recover(). In `repair` the lock is held once.
    bool recover(const std::function<void()>& repair = [] {}) const;

    /// Who holds the lock at this moment; empty when it is free. Never blocks.
    [[nodiscard]] std::optional<Owner> owner() const { return lock_.owner(); }
    /// How often a dead owner's lock was made whole.
    [[nodiscard]] std::uint64_t recoveries() const noexcept { return lock_.recoveries(); }
    /// `<RLock free>`, `<RLock held by Process-2 pid 4243>`, `<RLock owner died>`
    [[nodiscard]] std::string to_string() const;

    /// What lies in shared memory.
    struct Block {
        Lock::Block lock;
        std::atomic<std::uint64_t> depth;
    };
    [[nodiscard]] liveness::Domain& domain() const noexcept { return lock_.domain(); }

    /// \internal How the handle gets into another process (channel/crossing.hpp).
    /// @{
    static constexpr arena::Kind crossing_kind = arena::Kind::rlock;
    [[nodiscard]] arena::Crossing crossing() const;
    static RLock arrive(const arena::Crossing& crossing);
    /// @}

private:
    RLock(const arena::Object& object, on_owner_death policy);
    RLock(const arena::Object& object, std::function<void()> repair);
    static RLock named(std::string_view name, arena::OpenMode mode, on_owner_death policy);

    [[nodiscard]] bool held() const {
        return core::held_by(block_->lock.cell, liveness::enter(lock_.domain()));
    }
    [[nodiscard]] bool hold_once_more() const {
        if (!held())
            return false;
        // relaxed: between two stores of the same thread
        block_->depth.store(block_->depth.load(std::memory_order_relaxed) + 1,
                            std::memory_order_relaxed);
        return true;
    }
    bool hold_first() const noexcept {
        block_->depth.store(1, std::memory_order_relaxed); // only this thread reads it
        return true;
    }

    Block* block_;
    Lock lock_;
};

} // namespace multifork
