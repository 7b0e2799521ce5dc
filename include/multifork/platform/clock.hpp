#pragma once

#include <chrono>
#include <cstdint>
#include <limits>

namespace multifork::platform {

/// Nanoseconds of CLOCK_MONOTONIC, the clock that every wait in this library uses.
[[nodiscard]] inline std::int64_t monotonic_ns() noexcept {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

/// The moment at which a wait gives up, on the monotonic clock.
///
/// Two moments are special: never() waits for ever, and poll() does not wait at all. A duration of
/// zero or less makes poll(), so that `try_lock_for(0s)` never sleeps.
class Deadline {
public:
    [[nodiscard]] static constexpr Deadline never() noexcept { return Deadline{forever}; }
    [[nodiscard]] static constexpr Deadline poll() noexcept { return Deadline{0}; }

    template <class Rep, class Period>
    [[nodiscard]] static Deadline after(std::chrono::duration<Rep, Period> wait) noexcept {
        using std::chrono::duration;
        if (!(wait > wait.zero()))
            return poll(); // a NaN duration polls too
        const std::int64_t now = monotonic_ns();
        // In floating point, because hours::max() in nanoseconds overflows any integer.
        const double ns = duration<double, std::nano>(wait).count();
        const double room = static_cast<double>(forever - now) / 2;
        if (ns >= room)
            return never();
        // Rounded up: a wait never ends before its time.
        return Deadline{now + std::chrono::ceil<std::chrono::nanoseconds>(wait).count()};
    }

    template <class Clock, class Duration>
    [[nodiscard]] static Deadline at(std::chrono::time_point<Clock, Duration> moment) noexcept {
        // First in floating point, roughly: for a far moment the exact comparison overflows, and
        // the exact difference too.
        using Seconds = std::chrono::duration<double>;
        constexpr Seconds century{100 * 366 * 86'400.0};
        const auto now = Clock::now();
        const Seconds about = Seconds(moment.time_since_epoch()) - Seconds(now.time_since_epoch());
        if (about > century)
            return never();
        return about > -century && moment > now ? after(moment - now) : poll();
    }

    [[nodiscard]] constexpr bool is_never() const noexcept { return ns_ == forever; }
    [[nodiscard]] constexpr bool is_poll() const noexcept { return ns_ == 0; }
    [[nodiscard]] bool passed() const noexcept { return !is_never() && monotonic_ns() >= ns_; }
    [[nodiscard]] constexpr std::int64_t ns() const noexcept { return ns_; }

private:
    static constexpr std::int64_t forever = std::numeric_limits<std::int64_t>::max();
    constexpr explicit Deadline(std::int64_t ns) noexcept : ns_(ns) {}
    std::int64_t ns_;
};

} // namespace multifork::platform
