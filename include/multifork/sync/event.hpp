#pragma once

#include <multifork/arena/crossing.hpp>
#include <multifork/arena/object.hpp>
#include <multifork/core/event_cell.hpp>
#include <multifork/format.hpp>

#include <chrono>
#include <string>
#include <string_view>

namespace multifork {

/// A flag that processes wait for.
///
/// \code
///   mp::Event ready;
///   mp::Process child{[&] { ready.wait(); ... }};
///   child.start();  ...  ready.set();
/// \endcode
///
/// A set() lets everybody pass who waits at that moment, even if a clear() follows at once.
///
/// \threads   distinct and shared objects are safe
/// \processes safe
/// \fork      the handle stays valid in the child
/// \crash     a process that is killed inside set() has set the event, and then all its waiters are
///            woken, or has not; the death of a waiter is seen by nobody
/// \cost      is_set() a load; set() and clear() an atomic instruction each; no system call unless
///            somebody must sleep or be woken
class MULTIFORK_API Event {
public:
    using multifork_describable = void;

    /// Makes an unnamed event, not set. \throws OutOfSharedMemory
    Event();

    /// \name Named events, for programs that are not related
    /// \throws InvalidArgument, NotFound, AlreadyExists, LayoutMismatch, OutOfSharedMemory
    /// @{
    static Event create(std::string_view name);
    static Event open(std::string_view name);
    static Event open_or_create(std::string_view name);
    /// Takes the name away; who has the event open keeps it. \return false when there was none
    static bool remove(std::string_view name);
    /// @}

    /// Sets the event and wakes everybody who waits. Does nothing when it is set.
    void set() const { core::event_set(*cell_, *domain_); }
    void clear() const noexcept { core::event_clear(*cell_); }
    [[nodiscard]] bool is_set() const noexcept { return core::event_is_set(*cell_); }

    /// Waits until the event is set, as long as it takes.
    void wait() const {
        static_cast<void>(core::event_wait(*cell_, *domain_, platform::Deadline::never()));
    }
    /// Waits at most `wait` on the monotonic clock; zero or less does not wait.
    /// \return whether the event was set
    template <class Rep, class Period>
    [[nodiscard]] bool wait_for(const std::chrono::duration<Rep, Period>& wait) const {
        return core::event_wait(*cell_, *domain_, platform::Deadline::after(wait));
    }
    template <class Clock, class Duration>
    [[nodiscard]] bool wait_until(const std::chrono::time_point<Clock, Duration>& moment) const {
        return core::event_wait(*cell_, *domain_, platform::Deadline::at(moment));
    }

    /// `<Event set>`, `<Event unset>`
    [[nodiscard]] std::string to_string() const;

    /// \internal How the handle gets into another process (channel/crossing.hpp).
    /// @{
    static constexpr arena::Kind crossing_kind = arena::Kind::event;
    [[nodiscard]] arena::Crossing crossing() const;
    static Event arrive(const arena::Crossing& crossing);
    /// @}

private:
    explicit Event(arena::Object object);
    static Event named(std::string_view name, arena::OpenMode mode);

    core::EventCell* cell_;
    liveness::Domain* domain_;
    arena::Object object_;
};

} // namespace multifork
