#pragma once

#include "platform/fork_lock.hpp"
#include "platform/system.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

namespace multifork::detail {

/// A socket as this process holds it. It is closed when the last operation that uses it has left.
///
/// A forked child finds that threads of its parent use it, which will never leave there. So the
/// child's first use or close() takes the descriptors away from them, and makes anew what they may
/// have held.
class HeldSocket {
public:
    struct Own {
        platform::Descriptor socket;
        platform::Descriptor wake; // readable once this process has closed the socket; may be none
        std::timed_mutex sending;
    };

    /// What `wake` is made of. \return none when this process has no room for another descriptor
    [[nodiscard]] static platform::Descriptor make_wake() noexcept;

    /// Once, before other threads know it. Until then it is closed.
    void open(platform::Descriptor socket, platform::Descriptor wake);
    /// \return null when it is closed \throws Error when a child has no room for a descriptor
    [[nodiscard]] std::shared_ptr<Own> use();
    /// Ends what waits for `wake`, in this process only.
    void close() noexcept;
    [[nodiscard]] bool closed() const noexcept { return closed_.load(); }

private:
    platform::ForkLock lock_; // of what follows
    std::shared_ptr<Own> own_;
    std::uint32_t pid_ = 0; // whose own_ is
    std::atomic<bool> closed_{true};
};

} // namespace multifork::detail
