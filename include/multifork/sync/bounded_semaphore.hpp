#pragma once

#include <multifork/arena/crossing.hpp>
#include <multifork/format.hpp>
#include <multifork/platform/export.hpp>
#include <multifork/sync/semaphore.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace multifork {

/// A Semaphore that never has more permits than it was made with: one release() too many, which is
/// mostly a mistake, throws and changes nothing.
///
/// The permits of a thread that was killed have come back; who releases in its stead releases one
/// too many.
///
/// \threads   distinct and shared objects are safe
/// \processes safe
/// \fork      the child inherits the handle, none of the permits
/// \crash     as for Semaphore
/// \cost      as for Semaphore
class MULTIFORK_API BoundedSemaphore {
public:
    using multifork_describable = void;

    /// \param permits  0 to 2^31-1 \throws InvalidArgument, OutOfSharedMemory
    explicit BoundedSemaphore(std::int64_t permits = 1);

    /// \name Named semaphores, for programs that are not related
    /// `permits` must be the same in all of them.
    /// \throws InvalidArgument, NotFound, AlreadyExists, LayoutMismatch, OutOfSharedMemory
    /// @{
    static BoundedSemaphore create(std::string_view name, std::int64_t permits = 1);
    static BoundedSemaphore open(std::string_view name, std::int64_t permits = 1);
    static BoundedSemaphore open_or_create(std::string_view name, std::int64_t permits = 1);
    static bool remove(std::string_view name);
    /// @}

    /// Takes a permit, waiting as long as it takes.
    void acquire() const { semaphore_.acquire(); }
    /// Takes a permit if there is one. \return whether it was taken
    [[nodiscard]] bool try_acquire() const { return semaphore_.try_acquire(); }
    /// Takes a permit, waiting at most `wait`; zero or less does not wait. \return whether it was
    /// taken
    template <class Rep, class Period>
    [[nodiscard]] bool try_acquire_for(const std::chrono::duration<Rep, Period>& wait) const {
        return semaphore_.try_acquire_for(wait);
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool
    try_acquire_until(const std::chrono::time_point<Clock, Duration>& moment) const {
        return semaphore_.try_acquire_until(moment);
    }

    /// Gives permits back.
    /// \throws InvalidArgument  when `permits` < 1, or more would be free than the semaphore was
    ///                          made with; nothing changes then
    void release(std::int64_t permits = 1) const;

    /// Free permits at this moment, those of killed holders included.
    [[nodiscard]] std::int64_t value() const { return semaphore_.value(); }
    /// The permits that it was made with.
    [[nodiscard]] std::int64_t limit() const noexcept { return limit_; }
    /// `<BoundedSemaphore value=1 of 2>`
    [[nodiscard]] std::string to_string() const;

    /// \internal How the handle gets into another process (channel/crossing.hpp).
    /// @{
    static constexpr arena::Kind crossing_kind = arena::Kind::semaphore;
    [[nodiscard]] arena::Crossing crossing() const;
    static BoundedSemaphore arrive(const arena::Crossing& crossing);
    /// @}

private:
    BoundedSemaphore(Semaphore semaphore, std::int64_t permits)
        : semaphore_(std::move(semaphore)), limit_(permits) {}

    Semaphore semaphore_;
    std::int64_t limit_; // trusted, because not read from shared memory
};

} // namespace multifork
