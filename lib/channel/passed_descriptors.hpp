#pragma once

#include "platform/system.hpp"

#include <cstdint>
#include <utility>
#include <vector>

// How the descriptor of a connection gets to a process that is not forked. A message cannot bring
// one; but who starts a process can have it inherit some, or send them to the fork server beside
// the order. The message says which of them.

namespace multifork::detail {

/// While it lives, connections that this thread encodes leave copies of their descriptors here.
class PassedDescriptors {
public:
    PassedDescriptors() noexcept;
    ~PassedDescriptors();
    PassedDescriptors(const PassedDescriptors&) = delete;
    PassedDescriptors& operator=(const PassedDescriptors&) = delete;

    /// Notes a copy of `fd`. \return its place, for the message
    /// \throws Error when nothing takes descriptors along, or this process has no room for another
    [[nodiscard]] static std::uint32_t add(int fd);
    /// In the order of their places.
    [[nodiscard]] std::vector<platform::Descriptor> take() noexcept { return std::move(fds_); }

private:
    std::vector<platform::Descriptor> fds_;
    PassedDescriptors* outer_;
};

/// In the new process, before it decodes: what came with it.
void note_arrived(std::vector<platform::Descriptor> fds);
/// The descriptor at a place that was read from a message. \throws CorruptSharedMemory
[[nodiscard]] platform::Descriptor take_arrived(std::uint32_t place);
/// Closes what nobody took.
void drop_arrived() noexcept;

} // namespace multifork::detail
