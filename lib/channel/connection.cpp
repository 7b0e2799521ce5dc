#include <multifork/channel/connection.hpp>

#include "channel/link.hpp"
#include "channel/pipe_link.hpp"
#include "channel/socket_link.hpp"
#include "platform/fd_passing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace multifork {
namespace detail {
namespace {
[[noreturn]] void throw_no_descriptors() {
    throw Error(std::errc::operation_not_supported,
                "this connection takes no descriptors; make the pipe with {.descriptors = true}, "
                "or use a Unix socket");
}
} // namespace

void Link::send_fd(int) {
    throw_no_descriptors();
}
Link::Outcome Link::receive_fd(int&, platform::Deadline) {
    throw_no_descriptors();
}

Link::Outcome Link::await_descriptor(int socket, int& fd, const std::function<bool()>& wait) {
    for (;;) {
        platform::Descriptor arrived;
        switch (platform::receive_descriptor(socket, arrived)) {
        case platform::FdArrival::done:
            fd = arrived.release();
            return Outcome::done;
        case platform::FdArrival::end:
            return Outcome::ended;
        case platform::FdArrival::no_descriptor:
            throw Error(std::errc::bad_message,
                        "recv_fd() got a byte without a descriptor; the other end must call "
                        "send_fd(), and this process must have room for another descriptor");
        case platform::FdArrival::failed:
            platform::throw_errno("receiving a descriptor");
        case platform::FdArrival::nothing_yet:
            if (!wait())
                return Outcome::timed_out;
        }
    }
}

void Link::throw_direction(const char* verb, const char* wants) {
    throw Error(
        std::errc::operation_not_permitted,
        fmt::format("{} at an end that {}; use the other one, or a duplex pipe", verb, wants));
}

} // namespace detail

namespace {

constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();
using Outcome = detail::Link::Outcome;

std::vector<std::byte> take(detail::Received& received) {
    if (!received.read.empty())
        return std::move(received.read);
    const auto bytes = received.message.bytes();
    return {bytes.begin(), bytes.end()};
}

} // namespace

BufferTooShort::BufferTooShort(std::string message, std::vector<std::byte> bytes)
    : Error(std::errc::no_buffer_space, std::move(message)), bytes_(std::move(bytes)) {}

AnyConnection::AnyConnection(std::shared_ptr<detail::Link> link) noexcept
    : link_(std::move(link)) {}

detail::Link& AnyConnection::link() const {
    if (!link_)
        throw ConnectionClosed("this Connection is the end of nothing; assign one to it first");
    return *link_;
}

void AnyConnection::throw_ended() {
    throw EndOfStream("recv() at the end of the stream: nothing is left, and nobody holds the "
                      "other end any more; use try_recv(), which ends quietly");
}

bool AnyConnection::send_before(const Outgoing& message, platform::Deadline deadline) {
    return link().send(message, deadline);
}

bool AnyConnection::receive_before(detail::Received& into, platform::Deadline deadline) {
    return link().receive(into, deadline, unlimited) == Outcome::done;
}

void AnyConnection::send_bytes(std::span<const std::byte> bytes) {
    static_cast<void>(link().send(Outgoing(bytes), platform::Deadline::never()));
}

void AnyConnection::send_bytes(std::span<const std::byte> bytes, std::ptrdiff_t offset,
                               std::optional<std::ptrdiff_t> size) {
    const auto length = static_cast<std::ptrdiff_t>(bytes.size());
    if (offset < 0 || offset > length)
        throw InvalidArgument(
            fmt::format("offset {} does not lie in the {} bytes to send", offset, length));
    const std::ptrdiff_t count = size.value_or(length - offset);
    if (count < 0 || count > length - offset)
        throw InvalidArgument(
            fmt::format("{} bytes from offset {} on do not lie in the {} bytes to send", count,
                        offset, length));
    send_bytes(bytes.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(count)));
}

std::vector<std::byte> AnyConnection::recv_bytes(std::optional<std::ptrdiff_t> max_length) {
    if (max_length && *max_length < 0)
        throw InvalidArgument(
            fmt::format("a maximum length of {}; it cannot be negative", *max_length));
    detail::Received received;
    const std::size_t most = max_length ? static_cast<std::size_t>(*max_length) : unlimited;
    if (link().receive(received, platform::Deadline::never(), most) != Outcome::done)
        throw_ended();
    return take(received);
}

std::size_t AnyConnection::recv_bytes_into(std::span<std::byte> buffer, std::ptrdiff_t offset) {
    if (offset < 0 || offset > static_cast<std::ptrdiff_t>(buffer.size()))
        throw InvalidArgument(
            fmt::format("offset {} does not lie in the buffer of {} bytes", offset, buffer.size()));
    detail::Received received;
    if (!receive_before(received, platform::Deadline::never()))
        throw_ended();
    const auto bytes = received.bytes();
    const auto room = buffer.subspan(static_cast<std::size_t>(offset));
    if (bytes.size() > room.size())
        throw BufferTooShort(fmt::format("a message of {} bytes came for a buffer with room for "
                                         "{}; it is in the exception's bytes()",
                                         bytes.size(), room.size()),
                             take(received));
    std::copy(bytes.begin(), bytes.end(), room.begin());
    return bytes.size();
}

std::optional<std::vector<std::byte>> AnyConnection::bytes_before(platform::Deadline deadline) {
    detail::Received received;
    if (!receive_before(received, deadline))
        return std::nullopt;
    return take(received);
}

bool AnyConnection::poll_before(platform::Deadline deadline) const {
    return link().poll(deadline) != Outcome::timed_out;
}

bool AnyConnection::ended() const {
    return link().poll(platform::Deadline::poll()) == Outcome::ended;
}

void AnyConnection::send_fd(int fd) {
    link().send_fd(fd);
}
int AnyConnection::recv_fd() {
    const auto fd = fd_before(platform::Deadline::never());
    if (!fd)
        throw_ended();
    return *fd;
}
std::optional<int> AnyConnection::fd_before(platform::Deadline deadline) {
    int fd = -1;
    if (link().receive_fd(fd, deadline) != Outcome::done)
        return std::nullopt;
    return fd;
}
int AnyConnection::fileno() const {
    const int fd = link().descriptor();
    if (fd < 0)
        throw Error(std::errc::operation_not_supported,
                    "a pipe in shared memory has no descriptor of its own; make one with "
                    "Readiness, or use wait()");
    return fd;
}

void AnyConnection::close() noexcept {
    if (link_)
        link_->close();
}
bool AnyConnection::closed() const noexcept {
    return !link_ || link_->closed();
}
bool AnyConnection::readable() const noexcept {
    return link_ && link_->readable();
}
bool AnyConnection::writable() const noexcept {
    return link_ && link_->writable();
}

std::string AnyConnection::to_string() const {
    return link_ ? link_->describe() : "<Connection to nothing>";
}

std::string AnyConnection::depart() const {
    std::string reference = link().depart();
    try {
        detail::Travellers::note(reference);
    } catch (...) {
        detail::PipeLink::cancel(reference);
        throw;
    }
    return reference;
}

void AnyConnection::arrive(const std::string& reference) {
    if (detail::SocketLink::is_reference(reference))
        link_ = detail::SocketLink::arrive(reference);
    else
        link_ = detail::PipeLink::arrive(reference);
}

} // namespace multifork
