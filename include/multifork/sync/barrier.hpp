#pragma once

#include <multifork/arena/crossing.hpp>
#include <multifork/arena/object.hpp>
#include <multifork/core/barrier_cell.hpp>
#include <multifork/format.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace multifork {

/// A place where a fixed number of threads, of any processes, wait until all are there.
///
/// \code
///   mp::Barrier all_loaded{4};
///   ...  load();  all_loaded.arrive_and_wait();  compute();
/// \endcode
///
/// A round either is passed by all its parties or by none. When one of them dies at the barrier,
/// comes too late, throws from the action, or calls abort(), the barrier is broken: everybody gets
/// BrokenBarrier, at once and from then on, until somebody calls reset().
///
/// \threads   distinct and shared objects are safe
/// \processes safe
/// \fork      the handle stays valid in the child; the action is the one that the handle was made
///            with
/// \crash     a party that dies between its arrival and the end of the round breaks the barrier,
///            and wakes the others. One that dies elsewhere is only late: give the wait a time
///            limit
/// \blocks    on a futex;  \cost an arrival looks at those of all parties
class MULTIFORK_API Barrier {
public:
    using multifork_describable = void;

    /// \param parties  1 to 16384
    /// \param action   runs in the last one to arrive, before anybody passes. It belongs to this
    ///                 handle and its copies, those of forked children too; a barrier with one
    ///                 cannot be an argument of a process that is not forked, nor travel in a
    ///                 message: NotShareable
    /// \param timeout  how long arrive_and_wait() waits; without: as long as it takes
    /// \throws InvalidArgument, OutOfSharedMemory
    explicit Barrier(std::size_t parties, std::function<void()> action = {},
                     std::optional<std::chrono::nanoseconds> timeout = {});

    /// \name Named barriers, for programs that are not related
    /// `parties` must be the same in all of them; action and timeout are each program's own.
    /// \throws InvalidArgument, NotFound, AlreadyExists, LayoutMismatch, OutOfSharedMemory
    /// @{
    static Barrier create(std::string_view name, std::size_t parties,
                          std::function<void()> action = {},
                          std::optional<std::chrono::nanoseconds> timeout = {});
    static Barrier open(std::string_view name, std::size_t parties,
                        std::function<void()> action = {},
                        std::optional<std::chrono::nanoseconds> timeout = {});
    static Barrier open_or_create(std::string_view name, std::size_t parties,
                                  std::function<void()> action = {},
                                  std::optional<std::chrono::nanoseconds> timeout = {});
    /// Takes the name away; who has the barrier open keeps it. \return false when there was none
    static bool remove(std::string_view name);
    /// @}

    /// Waits until all parties are there.
    /// \return 0 to parties() - 1, to each party another one
    /// \throws BrokenBarrier  nobody passes this round
    /// \throws WouldDeadlock  called by the barrier's own action
    /// \throws what the action throws, if it ran here; the others get BrokenBarrier
    std::size_t arrive_and_wait() const;
    /// The same, waiting at most `wait`, whatever the barrier was made with. Zero or less does not
    /// wait: it breaks the barrier unless the caller is the last to arrive.
    ///
    /// Who comes while an action runs is for the next round, and has no part in it yet: if its time
    /// runs out before the action ends, it gets BrokenBarrier, and broken() is false.
    template <class Rep, class Period>
    std::size_t arrive_and_wait_for(const std::chrono::duration<Rep, Period>& wait) const {
        return arrive_before(platform::Deadline::after(wait));
    }
    template <class Clock, class Duration>
    std::size_t
    arrive_and_wait_until(const std::chrono::time_point<Clock, Duration>& moment) const {
        return arrive_before(platform::Deadline::at(moment));
    }

    /// Breaks the barrier: all who wait, and all who come until reset(), get BrokenBarrier.
    void abort() const { core::barrier_abort(view()); }
    /// Makes the barrier as new. Those who wait get BrokenBarrier.
    void reset() const { core::barrier_reset(view()); }

    [[nodiscard]] std::size_t parties() const noexcept { return parties_; }
    /// How many have arrived; 0 when the barrier is broken.
    [[nodiscard]] std::size_t waiting() const noexcept { return core::barrier_waiting(view()); }
    [[nodiscard]] bool broken() const noexcept { return core::barrier_broken(view()); }
    /// `<Barrier 2/5>`, `<Barrier broken>`
    [[nodiscard]] std::string to_string() const;

    /// \internal How the handle gets into another process (channel/crossing.hpp).
    /// @{
    static constexpr arena::Kind crossing_kind = arena::Kind::barrier;
    [[nodiscard]] arena::Crossing crossing() const;
    static Barrier arrive(const arena::Crossing& crossing);
    /// @}

private:
    using Timeout = std::optional<std::chrono::nanoseconds>;
    Barrier(arena::Object object, std::uint32_t parties, std::function<void()> action,
            Timeout timeout);
    static Barrier named(std::string_view name, arena::OpenMode mode, std::size_t parties,
                         std::function<void()> action, Timeout timeout);
    std::size_t arrive_before(platform::Deadline deadline) const;
    void run_action(std::uint32_t round) const;
    [[nodiscard]] core::BarrierView view() const noexcept { return {*cell_, parties_, *domain_}; }

    core::BarrierCell* cell_;
    std::uint32_t parties_; // trusted, because not read from shared memory
    liveness::Domain* domain_;
    arena::Object object_;
    std::function<void()> action_;
    Timeout timeout_;
};

} // namespace multifork
