#pragma once

#include "platform/system.hpp"

#include <cstdint>

namespace multifork::platform {

/// Sends one byte and a copy of `fd` over a Unix socket, without waiting.
/// \return 0, EAGAIN when there is no room, EPIPE when nobody is there, or another errno
[[nodiscard]] int send_descriptor(int socket, int fd) noexcept;

enum class FdArrival : std::uint8_t { done, nothing_yet, end, no_descriptor, failed };

/// Receives one byte, and the descriptor that came with it, without waiting. What else came with it
/// is closed: a peer cannot fill this process with descriptors.
[[nodiscard]] FdArrival receive_descriptor(int socket, Descriptor& fd) noexcept;

} // namespace multifork::platform
