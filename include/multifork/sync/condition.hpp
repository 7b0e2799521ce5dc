#pragma once

#include <multifork/arena/crossing.hpp>
#include <multifork/arena/object.hpp>
#include <multifork/core/condition_cell.hpp>
#include <multifork/format.hpp>
#include <multifork/platform/mutant.hpp>
#include <multifork/sync/rlock.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace multifork {

/// What std::condition_variable_any calls a lock: Lock, RLock, a std::unique_lock of one of them.
template <class L>
concept BasicLockable = requires(L& lock) {
    lock.lock();
    lock.unlock();
};

/// Processes wait under a lock until another says that something has changed.
///
/// \code
///   mp::Lock lock;
///   mp::Condition changed;
///   ...
///   std::unique_lock hold{lock};
///   changed.wait(hold, [&] { return items.value() > 0; });   // in one process
///   ...
///   { std::scoped_lock hold{lock}; items.value() += 1; }     // in another
///   changed.notify_one();
/// \endcode
///
/// Each wait gives the lock up, an RLock entirely, and takes it back before it returns. All who use
/// a condition at the same time should use the same lock, as with any condition; it need not be
/// held to notify. A wait may return although nobody has notified (after a death, say): use the
/// forms with a predicate.
///
/// If the lock's owner died meanwhile, the wait throws OwnerDied as lock() does, *without* the
/// lock. So hold it with a std::unique_lock, which knows, and not with a std::scoped_lock, whose
/// destructor would unlock what is not held.
///
/// \threads   distinct and shared objects are safe; at most 1024 wait at a time
/// \processes safe; the one who has waited longest is notified first
/// \fork      the handle stays valid in the child
/// \crash     the death of a waiter is seen by nobody: a notification that it was given goes to
///            another. A process that is killed inside notify() has notified some of those that it
///            would have; nobody hangs
/// \blocks    on a futex of its own for each waiter
/// \cost      a wait takes the condition's inner lock twice; notifying without waiters two loads
class MULTIFORK_API Condition {
public:
    using multifork_describable = void;

    /// Makes an unnamed condition. \throws OutOfSharedMemory
    Condition();

    /// \name Named conditions, for programs that are not related
    /// \throws InvalidArgument, NotFound, AlreadyExists, LayoutMismatch, OutOfSharedMemory
    /// @{
    static Condition create(std::string_view name);
    static Condition open(std::string_view name);
    static Condition open_or_create(std::string_view name);
    /// Takes the name away; who has the condition open keeps it. \return false when there was none
    static bool remove(std::string_view name);
    /// @}

    /// Waits until notified, as long as it takes.
    /// \throws NotOwner        when the caller does not hold the lock; nothing changes then
    /// \throws OwnerDied       as lock(); the lock is not held then
    /// \throws TooManyThreads  when 1024 threads wait already; the lock is still held then
    template <BasicLockable L>
    void wait(L& lock) const {
        static_cast<void>(wait_before(lock, platform::Deadline::never()));
    }
    /// Waits until notified, at most `wait`, apart from the time that it takes to get the lock
    /// back. \return whether it was notified
    template <BasicLockable L, class Rep, class Period>
    [[nodiscard]] bool wait_for(L& lock, const std::chrono::duration<Rep, Period>& wait) const {
        return wait_before(lock, platform::Deadline::after(wait));
    }
    template <BasicLockable L, class Clock, class Duration>
    [[nodiscard]] bool wait_until(L& lock,
                                  const std::chrono::time_point<Clock, Duration>& moment) const {
        return wait_before(lock, platform::Deadline::at(moment));
    }

    /// Waits until `ready()` holds; it is called with the lock held.
    template <BasicLockable L, class Predicate>
    void wait(L& lock, Predicate ready) const {
        while (!ready())
            wait(lock);
    }
    /// Waits until `ready()` holds, at most `wait`. \return what ready() said last
    template <BasicLockable L, class Rep, class Period, class Predicate>
    [[nodiscard]] bool wait_for(L& lock, const std::chrono::duration<Rep, Period>& wait,
                                Predicate ready) const {
        return wait_before(lock, platform::Deadline::after(wait), ready);
    }
    template <BasicLockable L, class Clock, class Duration, class Predicate>
    [[nodiscard]] bool wait_until(L& lock, const std::chrono::time_point<Clock, Duration>& moment,
                                  Predicate ready) const {
        return wait_before(lock, platform::Deadline::at(moment), ready);
    }

    /// Wakes the one who has waited longest; does nothing when nobody waits.
    void notify_one() const { core::condition_notify(*cell_, *domain_, 1); }
    void notify_all() const { core::condition_notify(*cell_, *domain_, core::everybody); }
    /// Wakes at most `count`.
    void notify(std::size_t count) const;

    /// How many wait at this moment and are not notified yet.
    [[nodiscard]] std::size_t waiters() const noexcept;
    /// `<Condition waiters=2>`
    [[nodiscard]] std::string to_string() const;

    /// \internal How the handle gets into another process (channel/crossing.hpp).
    /// @{
    static constexpr arena::Kind crossing_kind = arena::Kind::condition;
    [[nodiscard]] arena::Crossing crossing() const;
    static Condition arrive(const arena::Crossing& crossing);
    /// @}

private:
    explicit Condition(arena::Object object);
    static Condition named(std::string_view name, arena::OpenMode mode);
    [[nodiscard]] std::uint32_t enter() const;

    /// The RLock that a lock is or guards; null for any other, which can be held only once.
    template <class L>
    static const RLock* rlock_of(const L&) noexcept {
        return nullptr;
    }
    static const RLock* rlock_of(const RLock& lock) noexcept { return &lock; }
    static const RLock* rlock_of(const std::unique_lock<RLock>& lock) noexcept {
        return lock.mutex();
    }
    static const RLock* rlock_of(const std::unique_lock<const RLock>& lock) noexcept {
        return lock.mutex();
    }
    /// The user's lock, however often it is held. \return how often
    template <class L>
    static std::uint64_t give_up(L& lock) {
        const RLock* const inner = rlock_of(lock);
        const std::uint64_t depth = inner != nullptr ? inner->depth() : 1;
        lock.unlock(); // throws when it is not held
        for (std::uint64_t i = 1; i < depth; ++i)
            inner->unlock();
        return depth;
    }
    template <class L>
    static void take_back(L& lock, std::uint64_t depth) {
        lock.lock();
        for (std::uint64_t i = 1; i < depth; ++i)
            rlock_of(lock)->lock(); // it cannot fail any more
    }

    template <class L>
    bool wait_before(L& lock, platform::Deadline deadline) const;
    template <class L, class Predicate>
    bool wait_before(L& lock, platform::Deadline deadline, Predicate& ready) const {
        while (!ready())
            if (!wait_before(lock, deadline))
                return ready();
        return true;
    }

    core::ConditionCell* cell_;
    liveness::Domain* domain_;
    arena::Object object_;
};

template <class L>
bool Condition::wait_before(L& lock, platform::Deadline deadline) const {
    const std::uint32_t place = enter();
    std::uint64_t depth = 0;
    try {
        depth = give_up(lock);
    } catch (...) {
        core::condition_leave(*cell_, *domain_, place, true);
        throw;
    }
    const bool notified = core::condition_sleep(*cell_, *domain_, place, deadline);
    if (notified && MULTIFORK_MUTANT(consume_early))
        core::condition_leave(*cell_, *domain_, place, false);
    try {
        take_back(lock, depth);
    } catch (...) {
        if (notified)
            core::condition_leave(*cell_, *domain_, place, true);
        throw;
    }
    // Only now: until here the notification would go to another if this thread died.
    if (notified && !MULTIFORK_MUTANT(consume_early))
        core::condition_leave(*cell_, *domain_, place, false);
    return notified;
}

} // namespace multifork
