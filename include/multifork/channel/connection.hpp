#pragma once

#include <multifork/channel/codec.hpp>
#include <multifork/channel/crossing.hpp>
#include <multifork/channel/message_ring.hpp>
#include <multifork/channel/travellers.hpp>
#include <multifork/error.hpp>
#include <multifork/format.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/platform/export.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace multifork {

namespace detail {

class Link;

/// A message as it came: in the slot, in a block of shared memory, or from a socket.
struct Received {
    Message message;
    std::vector<std::byte> read;
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
        return read.empty() ? message.bytes() : std::span<const std::byte>(read);
    }
};

} // namespace detail

/// A message was longer than the buffer of recv_bytes_into(). It has the whole message.
class MULTIFORK_API BufferTooShort : public Error {
public:
    BufferTooShort(std::string message, std::vector<std::byte> bytes);
    [[nodiscard]] const std::vector<std::byte>& bytes() const noexcept { return bytes_; }

private:
    std::vector<std::byte> bytes_;
};

/// One end of a pipe, or of a socket: what all connections have, whatever they send.
///
/// A message is a piece of any length, and stays one: messages are neither cut nor joined, and come
/// in the order in which they were sent.
///
/// Copies mean the same end; the last one that goes closes it in this process. A child that is
/// forked holds an end of its own for each end that its parent holds: *the stream ends only when
/// all that hold the other end have closed it or are gone*. So close, in each process, the ends
/// that it does not use, as in Python. A process that was killed holds nothing, from that moment.
///
/// \threads   distinct and shared objects are safe; close() ends what other threads wait for here,
///            with ConnectionClosed
/// \processes of a pipe: safe, several may send and receive at the same end. Of a socket: one
///            process sends and one receives at an end, or else their messages get mixed up
/// \fork      the child inherits the ends, see above
/// \crash     of a pipe: send returned: the message will be received exactly once, or is still in
///            the pipe. Killed inside send: it is there whole, or not at all. Killed inside recv:
///            it is still there, or died with the receiver. Of a socket, where one process sends:
///            killed inside send, a part of the message may be there, at which the peer's recv()
///            throws Error when nobody holds this end any more; what was sent before is received
class MULTIFORK_API AnyConnection {
public:
    using multifork_describable = void;

    /// No end of anything: every use throws ConnectionClosed.
    AnyConnection() noexcept = default;

    /// Sends the bytes as one message, waiting for room as long as it takes.
    /// \throws BrokenPipe          when nobody holds the other end
    /// \throws ConnectionClosed    after close()
    /// \throws OutOfSharedMemory   when there is no room for a long message
    /// \throws Error               when this end only receives
    void send_bytes(std::span<const std::byte> bytes);
    void send_bytes(std::string_view text) { send_bytes(std::as_bytes(std::span(text))); }
    /// Sends a part: from `offset`, all the rest or `size` bytes.
    /// \throws InvalidArgument when that is not inside of `bytes`; and as send_bytes()
    void send_bytes(std::span<const std::byte> bytes, std::ptrdiff_t offset,
                    std::optional<std::ptrdiff_t> size = std::nullopt);

    /// Receives a message, waiting for one as long as it takes.
    /// \param max_length  a longer message is refused, and nothing is received here any more
    /// \throws EndOfStream       when nothing is left and nobody holds the other end
    /// \throws ConnectionClosed  after close()
    /// \throws InvalidArgument   for a negative maximum
    /// \throws Error             when the message is too long, or this end only sends
    [[nodiscard]] std::vector<std::byte>
    recv_bytes(std::optional<std::ptrdiff_t> max_length = std::nullopt);
    /// Receives a message into `buffer`, from `offset` on. \return its length
    /// \throws BufferTooShort, with the message, when it does not fit
    /// \throws InvalidArgument when `offset` is not inside of `buffer`; and as recv_bytes()
    std::size_t recv_bytes_into(std::span<std::byte> buffer, std::ptrdiff_t offset = 0);
    /// \return nothing when there is no message now, or the stream has ended \throws as
    /// recv_bytes()
    [[nodiscard]] std::optional<std::vector<std::byte>> try_recv_bytes() {
        return bytes_before(platform::Deadline::poll());
    }
    /// Waits at most `wait`. \return nothing when time ran out, or the stream has ended
    template <class Rep, class Period>
    [[nodiscard]] std::optional<std::vector<std::byte>>
    try_recv_bytes_for(const std::chrono::duration<Rep, Period>& wait) {
        return bytes_before(platform::Deadline::after(wait));
    }

    /// Whether recv() would return, or throw EndOfStream, without waiting; takes nothing.
    /// So it is true at the end of the stream, as in Python and as wait() has it: see ended().
    [[nodiscard]] bool poll() const { return poll_before(platform::Deadline::poll()); }
    /// Waits for a message or the end of the stream, at most `wait`; zero or less looks once.
    /// \return false when time ran out
    /// \throws ConnectionClosed; Error when this end only sends
    template <class Rep, class Period>
    [[nodiscard]] bool poll(const std::chrono::duration<Rep, Period>& wait) const {
        return poll_before(platform::Deadline::after(wait));
    }
    /// Whether nothing is left to receive and nobody holds the other end: that is for good.
    [[nodiscard]] bool ended() const;

    /// Sends a copy of an open file descriptor; `fd` may be closed at once. Over Unix sockets, and
    /// over pipes that were made with `.descriptors = true`; there beside the messages, not in line
    /// with them. \throws Error elsewhere; BrokenPipe, ConnectionClosed
    void send_fd(int fd);
    /// Receives one, which belongs to the caller; it is closed by exec.
    /// \throws EndOfStream, ConnectionClosed; Error when something else came than a descriptor
    [[nodiscard]] int recv_fd();
    /// Waits at most `wait`. \return nothing when time ran out, or the stream has ended
    template <class Rep, class Period>
    [[nodiscard]] std::optional<int>
    try_recv_fd_for(const std::chrono::duration<Rep, Period>& wait) {
        return fd_before(platform::Deadline::after(wait));
    }
    /// The socket's descriptor, for poll() and the like; it belongs to the connection.
    /// \throws Error for a pipe in shared memory, which has none: see Readiness
    [[nodiscard]] int fileno() const;

    /// Gives this end up, for all copies in this process. Twice is once.
    void close() noexcept;
    [[nodiscard]] bool closed() const noexcept;
    [[nodiscard]] bool readable() const noexcept;
    [[nodiscard]] bool writable() const noexcept;

    /// `<Connection to receive and send, open>`
    [[nodiscard]] std::string to_string() const;

    /// \name A connection as a message, or a part of one
    /// Who receives it holds an end of its own; the sender may close its own at once. Between
    /// processes of one tree. The sender must live until it has arrived: else, and when somebody
    /// has read that message before, whoever reads it gets NotFound.
    /// @{
    template <class Archive>
    void save(Archive& archive) const {
        archive(depart());
    }
    template <class Archive>
    void load(Archive& archive) {
        std::string reference;
        archive(reference);
        arrive(reference);
    }
    /// @}

    explicit AnyConnection(std::shared_ptr<detail::Link> link) noexcept;
    /// \throws ConnectionClosed when there is none
    [[nodiscard]] detail::Link& link() const;
    [[nodiscard]] const std::shared_ptr<detail::Link>& shared_link() const noexcept {
        return link_;
    }

protected:
    /// \return false when time ran out
    [[nodiscard]] bool send_before(const Outgoing& message, platform::Deadline deadline);
    /// \return false when time ran out, or the stream has ended
    [[nodiscard]] bool receive_before(detail::Received& into, platform::Deadline deadline);
    [[noreturn]] static void throw_ended();

private:
    [[nodiscard]] bool poll_before(platform::Deadline deadline) const;
    [[nodiscard]] std::optional<std::vector<std::byte>> bytes_before(platform::Deadline deadline);
    [[nodiscard]] std::optional<int> fd_before(platform::Deadline deadline);
    [[nodiscard]] std::string depart() const;
    void arrive(const std::string& reference);

    std::shared_ptr<detail::Link> link_;
};

/// One end of a connection that carries values of type T; without a T, bytes only.
///
/// \code
///   auto [parent, child] = mp::Pipe<std::string>();
///   mp::Process worker{[&] { parent.close(); child.send("hello"); }};
///   worker.start();
///   child.close();
///   fmt::print("{}\n", parent.recv());
/// \endcode
///
/// A T travels as in a Queue: as it is when it is trivially copyable, else by the codec. Both ends
/// must mean the same T.
template <class T = void>
class Connection : public AnyConnection {
public:
    using value_type = T;
    using AnyConnection::AnyConnection;

    /// Sends a value, waiting for room as long as it takes.
    /// \throws as send_bytes(), and what T's copy or serialize() throws; nothing was sent
    void send(const T& value) {
        static_cast<void>(encode_and_send(value, platform::Deadline::never()));
    }
    /// \return whether there was room, and nobody else was sending through this socket; what has
    ///         begun to go through a socket is finished, as long as that takes \throws as send()
    [[nodiscard]] bool try_send(const T& value) {
        return encode_and_send(value, platform::Deadline::poll());
    }
    /// Waits at most `wait` until it can begin. \return false when time ran out \throws as send()
    template <class Rep, class Period>
    [[nodiscard]] bool try_send_for(const T& value,
                                    const std::chrono::duration<Rep, Period>& wait) {
        return encode_and_send(value, platform::Deadline::after(wait));
    }

    /// Receives a value, waiting for one as long as it takes.
    /// \throws EndOfStream when nothing is left and nobody holds the other end; and as recv_bytes()
    /// \throws CorruptSharedMemory when the message is no T
    [[nodiscard]] T recv() {
        auto got = value_before(platform::Deadline::never());
        if (!got)
            throw_ended();
        return std::move(*got);
    }
    /// \return nothing when there is no message now, or the stream has ended \throws as recv()
    [[nodiscard]] std::optional<T> try_recv() { return value_before(platform::Deadline::poll()); }
    /// Waits at most `wait`. \return nothing when time ran out, or the stream has ended
    template <class Rep, class Period>
    [[nodiscard]] std::optional<T> try_recv_for(const std::chrono::duration<Rep, Period>& wait) {
        return value_before(platform::Deadline::after(wait));
    }

private:
    bool encode_and_send(const T& value, platform::Deadline deadline) {
        static_assert(Crossable<T>, "a Connection carries what is trivially copyable without "
                                    "addresses, or what the codec knows");
        detail::Travellers travellers;
        MessageBuffer buffer;
        write_crossing(value, buffer.bytes());
        if (!send_before(buffer.message(), deadline))
            return false;
        travellers.arrived();
        return true;
    }
    std::optional<T> value_before(platform::Deadline deadline) {
        detail::Received received;
        if (!receive_before(received, deadline))
            return std::nullopt;
        return read_crossing<T>(received.bytes());
    }
};

/// Bytes only.
template <>
class Connection<void> : public AnyConnection {
public:
    using AnyConnection::AnyConnection;
};

} // namespace multifork
