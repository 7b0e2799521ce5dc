#pragma once

#include <atomic>

namespace multifork::platform {

/// Keeps the compiler from moving stores across; for the processor there is nothing. What a thread
/// leaves behind when it dies is a prefix of the compiled program, and who looks at it (the kernel,
/// a survivor) does so after its death. So one stands on both sides of each COMMIT.
inline void compiler_barrier() noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

} // namespace multifork::platform
