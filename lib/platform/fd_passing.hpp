#pragma once

#include "platform/system.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace multifork::platform {

/// Sends one byte and a copy of `fd` over a Unix socket, without waiting.
/// \return 0, EAGAIN when there is no room, EPIPE when nobody is there, or another errno
[[nodiscard]] int send_descriptor(int socket, int fd) noexcept;

enum class FdArrival : std::uint8_t { done, nothing_yet, end, no_descriptor, failed };

/// Receives one byte, and the descriptor that came with it, without waiting. What else came with it
/// is closed: a peer cannot fill this process with descriptors.
[[nodiscard]] FdArrival receive_descriptor(int socket, Descriptor& fd) noexcept;

/// As many as one message takes.
inline constexpr std::size_t most_descriptors = 253;

/// Sends a message over a Unix socket with copies of some descriptors. \return 0, or the errno
[[nodiscard]] int send_with_descriptors(int socket, std::span<const std::byte> bytes,
                                        std::span<const int> fds) noexcept;

/// Receives a message over a Unix socket, waiting for it.
/// \param fds  gets the descriptors that came with it: fewer than were sent when this process has
/// no
///             room for more \return its length, 0 at the end; -1 with errno
[[nodiscard]] std::ptrdiff_t receive_with_descriptors(int socket, std::span<std::byte> bytes,
                                                      std::vector<Descriptor>& fds);

} // namespace multifork::platform
