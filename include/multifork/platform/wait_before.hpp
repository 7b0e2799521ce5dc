#pragma once

#include <multifork/platform/clock.hpp>

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace multifork::platform {

/// Waits until `condition` holds, at most until `deadline`; poll() only looks. For threads of one
/// process: where others take part, liveness::Sleep.
/// \return whether it holds
template <class Condition>
bool wait_before(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
                 Deadline deadline, Condition condition) {
    if (deadline.is_poll())
        return condition();
    if (deadline.is_never()) {
        changed.wait(lock, condition);
        return true;
    }
    // steady_clock is CLOCK_MONOTONIC, the deadline's clock
    const std::chrono::steady_clock::time_point until{std::chrono::nanoseconds(deadline.ns())};
    return changed.wait_until(lock, until, condition);
}

} // namespace multifork::platform
