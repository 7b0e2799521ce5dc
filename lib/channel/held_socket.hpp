#pragma once

#include "platform/fork_lock.hpp"
#include "platform/system.hpp"

#include <multifork/platform/clock.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

namespace multifork::detail {

/// A socket as this process holds it. It is closed when the last operation that uses it has left.
///
/// A forked child finds that threads of its parent use it, which will never leave there. So the
/// child's first use or close() takes the descriptors away from them, and makes anew what they may
/// have held. What the parent had closed before the fork, and its threads had not left yet, is
/// closed in the child at once: nobody there has it any more.
class HeldSocket {
public:
    /// As std::timed_mutex, of whose waits ThreadSanitizer knows nothing.
    class TimedLock {
    public:
        void lock() {
            std::unique_lock hold(mutex_);
            free_.wait(hold, [&] { return !taken_; });
            taken_ = true;
        }
        bool try_lock() { return try_lock_until(std::chrono::steady_clock::time_point()); }
        bool try_lock_until(std::chrono::steady_clock::time_point moment) {
            std::unique_lock hold(mutex_);
            if (!free_.wait_until(hold, moment, [&] { return !taken_; }))
                return false;
            return taken_ = true;
        }
        void unlock() {
            const std::scoped_lock hold(mutex_);
            taken_ = false;
            free_.notify_one();
        }

    private:
        std::mutex mutex_;
        std::condition_variable free_;
        bool taken_ = false;
    };

    struct Own {
        Own() = default;
        ~Own();
        Own(const Own&) = delete;
        Own& operator=(const Own&) = delete;

        platform::Descriptor socket;
        platform::Descriptor wake; // readable once this process has closed the socket
        TimedLock sending;

        // In the list of those that are closed and may still be used.
        Own** place = nullptr;
        Own* next = nullptr;
    };

    /// What `wake` is made of. \return none when this process has no room for another descriptor
    [[nodiscard]] static platform::Descriptor make_wake() noexcept;

    /// Once, before other threads know it. Until then it is closed.
    void open(platform::Descriptor socket, platform::Descriptor wake);
    /// \return null when it is closed \throws Error when a child has no room for a descriptor
    [[nodiscard]] std::shared_ptr<Own> use();
    /// Ends what waits in await(), in this process only.
    void close() noexcept;
    /// Waits until the socket is ready, or closed() here. `what`: POLLIN or POLLOUT. \return false
    /// when time ran out
    [[nodiscard]] static bool await(const Own& own, short what,
                                    platform::Deadline deadline) noexcept;
    [[nodiscard]] bool closed() const noexcept { return closed_.load(); }

private:
    platform::ForkLock lock_; // of what follows
    std::shared_ptr<Own> own_;
    std::uint32_t pid_ = 0; // whose own_ is
    std::atomic<bool> closed_{true};
};

} // namespace multifork::detail
