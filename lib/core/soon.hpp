#pragma once

#include "platform/spin.hpp"

#include <multifork/liveness/tuning.hpp>

#include <atomic>
#include <cstdint>
#include <thread>

namespace multifork::core {

/// Looks out for `changed()` for about a microsecond, then lends the core to others a few times:
/// both cost less than a sleep and its wake-up, and the second matters when there are more threads
/// than cores.
template <class Changed>
bool changed_soon(Changed changed) noexcept {
    const auto& tuning = liveness::tuning();
    for (std::uint32_t i = tuning.spins.load(std::memory_order_relaxed); i > 0; --i) {
        if (changed())
            return true;
        platform::spin_pause();
    }
    for (std::uint32_t i = tuning.yields.load(std::memory_order_relaxed); i > 0; --i) {
        if (changed())
            return true;
        std::this_thread::yield();
    }
    return false;
}

} // namespace multifork::core
