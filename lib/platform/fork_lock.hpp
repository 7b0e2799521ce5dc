#pragma once

#include "platform/system.hpp"

#include <atomic>
#include <cstdint>
#include <utility>

namespace multifork::platform {

/// A mutex between the threads of one process that a forked child can use, even if a thread of its
/// parent held it at the fork: that one does not exist in the child, which takes the lock over. So
/// whoever locks it must bear what is half done; torn() says so.
class ForkLock {
public:
    void lock() noexcept {
        const std::uint32_t me = process_id();
        for (;;) {
            std::uint32_t holder = 0;
            if (word_.compare_exchange_strong(holder, me, std::memory_order_acquire))
                return;
            if (holder == me) {
                word_.wait(holder, std::memory_order_relaxed);
            } else if (word_.compare_exchange_strong(holder, me, std::memory_order_acquire)) {
                torn_ = true;
                return;
            }
        }
    }
    void unlock() noexcept {
        word_.store(0, std::memory_order_release); // pairs with the exchanges in lock()
        word_.notify_one();
    }
    /// For the holder: whether it was taken over, now or before. Says so once.
    [[nodiscard]] bool torn() noexcept { return std::exchange(torn_, false); }

private:
    std::atomic<std::uint32_t> word_{0}; // the process whose thread holds it
    bool torn_ = false;                  // under the lock
};

} // namespace multifork::platform
