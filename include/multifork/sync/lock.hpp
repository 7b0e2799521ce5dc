#pragma once

#include <multifork/arena/crossing.hpp>
#include <multifork/arena/object.hpp>
#include <multifork/core/lock_cell.hpp>
#include <multifork/error.hpp>
#include <multifork/format.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex> // std::scoped_lock, std::unique_lock: what a Lock is for
#include <optional>
#include <string>
#include <string_view>

namespace multifork {

/// Who holds a lock.
struct Owner {
    int pid = 0;
    std::string process; ///< its name in the process tree, "" for a process of another tree
    bool alive = true;   ///< false: it died holding the lock, and nobody has recovered it yet
};

/// What a locker does about an owner that died.
enum class on_owner_death : std::uint8_t {
    refuse, ///< lock() throws OwnerDied until somebody calls recover(): the default
    resume, ///< the next locker just goes on: for data that a death cannot leave half done
};

/// A mutual exclusion between threads of any processes: std::timed_mutex's interface, so that
/// std::scoped_lock and std::unique_lock work, and Python's ownership rules made strict.
///
/// \code
///   mp::Lock lock;
///   mp::Process child{[&] { std::scoped_lock hold{lock}; ... }};
/// \endcode
///
/// A Lock is a handle: copies, and what a forked child inherits, mean the same lock, and const
/// means the handle. Only the thread that locked it may unlock it, and it is not recursive.
///
/// \threads   distinct and shared objects are safe
/// \processes safe
/// \fork      the child inherits the handle, never the ownership
/// \crash     the death of the owner, however it ends, is seen at once by the next locker and by
///            all who sleep; the death of a waiter is seen by nobody
/// \cost      lock() a compare-and-swap, unlock() an exchange; no system call unless somebody must
///            sleep or be woken
class MULTIFORK_API Lock {
public:
    using multifork_describable = void;

    /// Makes an unnamed lock, free, in the process tree's arena. \throws OutOfSharedMemory
    explicit Lock(on_owner_death policy = on_owner_death::refuse);
    /// Makes a lock that the next locker after a death repairs: `repair` runs with the lock held,
    /// in the process of that locker. If it throws, the lock stays dead and the exception leaves
    /// lock(). It belongs to this handle and its copies, those of forked children too; such a lock
    /// cannot be an argument of a process that is not forked, nor travel in a message:
    /// NotShareable.
    explicit Lock(std::function<void()> repair);

    /// \name Named locks, for programs that are not related
    /// \throws InvalidArgument, NotFound, AlreadyExists, LayoutMismatch, OutOfSharedMemory
    /// @{
    static Lock create(std::string_view name, on_owner_death policy = on_owner_death::refuse);
    static Lock open(std::string_view name, on_owner_death policy = on_owner_death::refuse);
    static Lock open_or_create(std::string_view name,
                               on_owner_death policy = on_owner_death::refuse);
    /// Takes the name away; who has the lock open keeps it. \return false when there was none
    static bool remove(std::string_view name);
    /// @}

    /// Takes the lock, waiting as long as it takes.
    /// \throws OwnerDied      when its owner died; it is not taken
    /// \throws WouldDeadlock  when the calling thread holds it
    void lock() const {
        const liveness::ThreadWord me = liveness::enter(*domain_, domain_index_);
        const core::Acquired got =
            core::lock(block_->cell, *domain_, me, platform::Deadline::never(), on_death_);
        if (got != core::Acquired::clean) [[unlikely]]
            static_cast<void>(settle(got));
    }

    /// Takes the lock if it is free. \return whether it was taken \throws OwnerDied
    [[nodiscard]] bool try_lock() const { return try_lock_before(platform::Deadline::poll()); }

    /// Takes the lock, waiting at most `wait` on the monotonic clock; zero or less does not wait.
    /// The owner itself waits in vain. \return whether it was taken \throws OwnerDied
    template <class Rep, class Period>
    [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& wait) const {
        return try_lock_before(platform::Deadline::after(wait));
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool
    try_lock_until(const std::chrono::time_point<Clock, Duration>& moment) const {
        return try_lock_before(platform::Deadline::at(moment));
    }

    /// Gives the lock up. \throws NotOwner when the calling thread does not hold it; nothing
    /// changes then
    void unlock() const {
        if (!core::held_by(block_->cell, liveness::enter(*domain_, domain_index_))) [[unlikely]]
            throw_not_owner();
        core::unlock(block_->cell);
    }

    /// Makes a lock whose owner died whole again: runs `repair` with the lock held, then unlocks.
    ///
    /// \return false, without running anything, when no dead owner holds it (any more): somebody
    ///         else was quicker, or the lock is in order
    /// \crash  if this process dies in repair, or repair throws, the lock is as dead as before
    bool recover(const std::function<void()>& repair = [] {}) const;

    /// Who holds the lock at this moment; empty when it is free. Never blocks.
    [[nodiscard]] std::optional<Owner> owner() const;
    /// How often a dead owner's lock was made whole, by recover(), by a repair function or by
    /// resume.
    [[nodiscard]] std::uint64_t recoveries() const noexcept;
    /// `<Lock free>`, `<Lock held by Process-2 pid 4243>`, `<Lock owner died>`
    [[nodiscard]] std::string to_string() const;

    /// What lies in shared memory.
    struct Block {
        core::LockCell cell;
        std::atomic<std::uint64_t> recoveries; // only counted
    };
    /// A lock that lies inside another object, at `block`.
    Lock(arena::Object object, Block* block, on_owner_death policy);
    Lock(arena::Object object, Block* block, std::function<void()> repair);
    [[nodiscard]] liveness::Domain& domain() const noexcept { return *domain_; }
    /// The exception that belongs to an outcome other than taken or timed out.
    [[noreturn]] void throw_for(core::Acquired got) const;

    /// \internal How the handle gets into another process (channel/crossing.hpp).
    /// @{
    static constexpr arena::Kind crossing_kind = arena::Kind::lock;
    [[nodiscard]] arena::Crossing crossing() const;
    /// How the object that it lies in does.
    [[nodiscard]] arena::Crossing crossing_of_whole() const;
    static Lock arrive(const arena::Crossing& crossing);
    /// @}

private:
    static arena::Identity identity() noexcept;
    static Lock named(std::string_view name, arena::OpenMode mode, on_owner_death policy);
    [[nodiscard]] bool try_lock_before(platform::Deadline deadline) const;
    [[nodiscard]] bool settle(core::Acquired got) const;
    void run_repair(const std::function<void()>& repair) const;
    [[noreturn]] void throw_not_owner() const;
    [[nodiscard]] std::string describe_owner() const;

    Block* block_;
    liveness::Domain* domain_;
    std::uint32_t domain_index_;
    core::OnDeath on_death_;
    arena::Object object_;
    std::function<void()> repair_;
    bool is_part_ = true; ///< of another object, which alone can cross
};

} // namespace multifork
