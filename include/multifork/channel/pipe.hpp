#pragma once

#include <multifork/channel/connection.hpp>
#include <multifork/platform/export.hpp>

#include <cstddef>
#include <utility>

namespace multifork {

/// What a pipe may be told when it is made.
struct PipeOptions {
    /// Both ends send and receive. Otherwise the first one receives and the second one sends.
    bool duplex = true;
    /// Messages that may be on their way in each direction; who sends more waits.
    std::size_t capacity = 64;
    /// Whether open file descriptors can be sent too (send_fd, recv_fd): takes two descriptors for
    /// each end that a process holds, one for the socket and one by which close() ends what waits
    /// there.
    bool descriptors = false;
};

namespace detail {
/// \throws InvalidArgument, OutOfSharedMemory
[[nodiscard]] MULTIFORK_API std::pair<AnyConnection, AnyConnection>
make_pipe(const PipeOptions& options);
} // namespace detail

/// Makes a pipe between processes: two connected ends.
///
/// It lies in shared memory; nobody enters the kernel unless somebody must sleep or be woken.
///
/// \return two ends that send and receive; or, with `.duplex = false`, one that receives and one
///         that sends
/// \throws InvalidArgument, OutOfSharedMemory
/// \cost   6 KiB of the arena for each direction; a message costs what it does in a Queue
template <class T = void>
[[nodiscard]] std::pair<Connection<T>, Connection<T>> Pipe(const PipeOptions& options = {}) {
    auto [first, second] = detail::make_pipe(options);
    return {Connection<T>(first.shared_link()), Connection<T>(second.shared_link())};
}
/// The same, with nothing but Python's parameter.
template <class T = void>
[[nodiscard]] std::pair<Connection<T>, Connection<T>> Pipe(bool duplex) {
    return Pipe<T>(PipeOptions{.duplex = duplex});
}

} // namespace multifork
