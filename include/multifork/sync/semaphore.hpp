#pragma once

#include <multifork/arena/crossing.hpp>
#include <multifork/arena/object.hpp>
#include <multifork/core/semaphore_cell.hpp>
#include <multifork/error.hpp>
#include <multifork/format.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace multifork {

/// A counting semaphore that knows who holds its permits.
///
/// \code
///   mp::Semaphore two_at_a_time{2};
///   two_at_a_time.acquire();  ...  two_at_a_time.release();
///   { mp::Permit hold{two_at_a_time}; ... }    // with two_at_a_time:
/// \endcode
///
/// Anybody may release, as in Python: a release by a thread that holds no permit gives back one
/// that another took, or else adds one.
///
/// \threads   distinct and shared objects are safe
/// \processes safe
/// \fork      the child inherits the handle, none of the permits
/// \crash     the permits of a thread that was killed come back, to sleepers too; those of a thread
///            or process that ended in an orderly way stay taken, as in POSIX and Python
/// \cost      two compare-and-swaps and two exchanges a pair; no system call unless somebody must
///            sleep or be woken
class MULTIFORK_API Semaphore {
public:
    using multifork_describable = void;

    /// \param permits  0 to 2^31-1 \throws InvalidArgument, OutOfSharedMemory
    explicit Semaphore(std::int64_t permits = 1);

    /// \name Named semaphores, for programs that are not related
    /// `permits` must be the same in all of them.
    /// \throws InvalidArgument, NotFound, AlreadyExists, LayoutMismatch, OutOfSharedMemory
    /// @{
    static Semaphore create(std::string_view name, std::int64_t permits = 1);
    static Semaphore open(std::string_view name, std::int64_t permits = 1);
    static Semaphore open_or_create(std::string_view name, std::int64_t permits = 1);
    static bool remove(std::string_view name);
    /// @}

    /// Takes a permit, waiting as long as it takes.
    void acquire() const {
        static_cast<void>(core::semaphore_acquire(cell(), *domain_, platform::Deadline::never()));
    }
    /// Takes a permit if there is one. Whoever is in the middle of an operation is waited for, as
    /// by Queue::try_get(). \return whether it was taken
    [[nodiscard]] bool try_acquire() const {
        return core::semaphore_acquire(cell(), *domain_, platform::Deadline::poll());
    }
    /// Takes a permit, waiting at most `wait`; zero or less does not wait. \return whether it was
    /// taken
    template <class Rep, class Period>
    [[nodiscard]] bool try_acquire_for(const std::chrono::duration<Rep, Period>& wait) const {
        return core::semaphore_acquire(cell(), *domain_, platform::Deadline::after(wait));
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool
    try_acquire_until(const std::chrono::time_point<Clock, Duration>& moment) const {
        return core::semaphore_acquire(cell(), *domain_, platform::Deadline::at(moment));
    }

    /// Gives permits back. \throws InvalidArgument when `permits` < 1 or there would be more than
    /// 2^31-1
    void release(std::int64_t permits = 1) const;

    /// Free permits at this moment, those of killed holders included.
    [[nodiscard]] std::int64_t value() const;
    /// `<Semaphore value=2>`
    [[nodiscard]] std::string to_string() const;

    /// \internal How the handle gets into another process (channel/crossing.hpp).
    /// @{
    static constexpr arena::Kind crossing_kind = arena::Kind::semaphore;
    [[nodiscard]] arena::Crossing crossing() const;
    static Semaphore arrive(const arena::Crossing& crossing);
    /// @}

private:
    friend class BoundedSemaphore; // holds one, under a name of its own

    explicit Semaphore(arena::Object object);
    /// \param noun  what it is called in messages, and in the file of a named one
    Semaphore(std::int64_t permits, const char* noun);
    static Semaphore named(std::string_view name, arena::OpenMode mode, std::int64_t permits,
                           const char* noun);
    /// \return false, with nothing changed, when more than `limit` would be free
    [[nodiscard]] bool release_within(std::int64_t permits, std::int64_t limit) const;

    /// The cell, after a look at the one word in it that says how far its ledger reaches.
    [[nodiscard]] core::SemaphoreCell& cell() const {
        if (cell_->capacity != capacity_) [[unlikely]]
            throw_corrupt();
        return *cell_;
    }
    [[noreturn]] static void throw_corrupt();

    core::SemaphoreCell* cell_;
    std::uint32_t capacity_; // what it was when it was made, or checked
    liveness::Domain* domain_;
    arena::Object object_;
};

/// One permit of a Semaphore or a BoundedSemaphore, taken now and given back at the end of the
/// scope: Python's `with semaphore:`.
///
/// \blocks the constructor, as acquire() does
template <class S>
class [[nodiscard]] Permit {
public:
    explicit Permit(S semaphore) : semaphore_(std::move(semaphore)) { semaphore_.acquire(); }
    ~Permit() {
        try {
            semaphore_.release();
        } catch (const Error&) { // bounded, and somebody has given back what he had not taken
        }
    }
    Permit(const Permit&) = delete;
    Permit& operator=(const Permit&) = delete;

private:
    S semaphore_;
};

} // namespace multifork
