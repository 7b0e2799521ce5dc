#include "channel/socket_link.hpp"

#include "channel/passed_descriptors.hpp"
#include "platform/fd_passing.hpp"

#include <multifork/channel/codec.hpp>

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <mutex>
#include <span>
#include <string_view>
#include <utility>

namespace multifork::detail {
namespace {

constexpr std::size_t read_step = 1u << 20;
constexpr std::uint64_t longest_short = 0x7FFF'FFFF;

std::size_t write_head(std::array<std::byte, 12>& head, std::uint64_t length) noexcept {
    const auto big_endian = [&](std::size_t at, std::uint64_t value, std::size_t bytes) {
        for (std::size_t i = 0; i < bytes; ++i)
            head[at + i] = static_cast<std::byte>(value >> (8 * (bytes - 1 - i)));
    };
    if (length <= longest_short) {
        big_endian(0, length, 4);
        return 4;
    }
    big_endian(0, 0xFFFF'FFFF, 4);
    big_endian(4, length, 8);
    return 12;
}

std::uint64_t big_endian(std::span<const std::byte> bytes) noexcept {
    std::uint64_t value = 0;
    for (const std::byte byte : bytes)
        value = value << 8 | std::to_integer<std::uint64_t>(byte);
    return value;
}

/// \return false when time ran out
bool lock_before(std::unique_lock<HeldSocket::TimedLock>& hold, platform::Deadline deadline) {
    if (deadline.is_poll())
        return hold.try_lock();
    if (!deadline.is_never())
        return hold.try_lock_until(
            std::chrono::steady_clock::time_point(std::chrono::nanoseconds(deadline.ns())));
    hold.lock();
    return true;
}

} // namespace

SocketLink::SocketLink(platform::Descriptor socket, platform::Descriptor wake, bool local,
                       std::string what)
    : local_(local), what_(std::move(what)) {
    if (!wake)
        platform::throw_errno("making a connection");
    held_.open(std::move(socket), std::move(wake));
}

SocketLink::SocketLink(platform::Descriptor socket, bool local, std::string what)
    : SocketLink(std::move(socket), HeldSocket::make_wake(), local, std::move(what)) {}

SocketLink::~SocketLink() {
    close();
}

std::shared_ptr<HeldSocket::Own> SocketLink::use() {
    auto own = held_.use();
    if (!own)
        throw ConnectionClosed("this connection was closed in this process; use it before close()");
    return own;
}

void SocketLink::close() noexcept {
    held_.close();
}

void SocketLink::throw_if_closed() const {
    if (closed())
        throw ConnectionClosed("this connection was closed by another thread, which ends what "
                               "waits here");
}

bool SocketLink::await(const Own& own, short what, platform::Deadline deadline) const {
    const bool ready = HeldSocket::await(own, what, deadline);
    throw_if_closed();
    return ready;
}

bool SocketLink::send(const Outgoing& outgoing, platform::Deadline deadline) {
    if (outgoing.cargo != nullptr)
        throw NotShareable("a handle on a shared object cannot go through a socket, at whose other "
                           "end may be a program of another tree; make the object with a name, and "
                           "send the name");
    const std::span<const std::byte> bytes = outgoing.bytes;
    const auto own = use();
    std::unique_lock hold(own->sending, std::defer_lock); // no message interrupts another
    if (!lock_before(hold, deadline))
        return false;
    throw_if_closed(); // while this one waited
    std::array<std::byte, 12> head;
    const std::size_t head_bytes = write_head(head, bytes.size());
    const std::size_t total = head_bytes + bytes.size();
    for (std::size_t sent = 0; sent < total;) {
        std::array<iovec, 2> parts{};
        std::size_t count = 0;
        if (sent < head_bytes)
            parts[count++] = {head.data() + sent, head_bytes - sent};
        const std::size_t from = sent > head_bytes ? sent - head_bytes : 0;
        if (from < bytes.size())
            parts[count++] = {const_cast<std::byte*>(bytes.data() + from), bytes.size() - from};
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = count;
        const ssize_t n = ::sendmsg(own->socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            sent += static_cast<std::size_t>(n);
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno == EPIPE || errno == ECONNRESET)
            throw BrokenPipe(
                fmt::format("send() to {}, which has closed the connection or ended", what_));
        if (const int error = errno; error != EAGAIN && error != EWOULDBLOCK) {
            if (sent > 0)
                close(); // where the next message begins, the peer would not know
            errno = error;
            platform::throw_errno("sending to " + what_);
        }
        // What has begun is finished: half a message would spoil all that follow.
        if (!await(*own, POLLOUT, sent > 0 ? platform::Deadline::never() : deadline))
            return false;
    }
    return true;
}

void SocketLink::refuse(const std::string& why) {
    close(); // where the next message begins is not known any more
    throw Error(std::errc::message_size,
                fmt::format("{} {}; the connection is closed", what_, why));
}

void SocketLink::check_length(std::uint64_t length, std::size_t most) {
    if (length > most)
        refuse(fmt::format("announces a message of {} bytes, and at most {} were expected", length,
                           most));
}

void SocketLink::parse_head(std::size_t most) {
    if (head_read_ < 4)
        return;
    std::uint64_t length = big_endian({head_.data(), 4});
    if (length == 0xFFFF'FFFF) {
        if (head_read_ < 12)
            return;
        length = big_endian({head_.data() + 4, 8});
    } else if (length > longest_short) {
        refuse("announces a message of negative length");
    }
    if (length > std::numeric_limits<std::size_t>::max() / 4)
        refuse(fmt::format("announces a message of {} bytes, which no memory holds", length));
    check_length(length, most);
    length_ = length;
    length_known_ = true;
}

Link::Outcome SocketLink::read_some(int socket, std::size_t most, platform::Deadline deadline) {
    if (length_known_)
        check_length(length_, most); // of a message that another call has begun
    bool late = false;
    std::size_t left = 0; // once it is late
    for (;;) {
        std::byte* to = nullptr;
        std::size_t room = 0;
        if (!length_known_) {
            // The short head first: behind it may come the next message.
            const std::size_t wanted =
                head_read_ >= 4 && big_endian({head_.data(), 4}) == 0xFFFF'FFFF ? 12 : 4;
            to = head_.data() + head_read_;
            room = wanted - head_read_;
        } else {
            const std::size_t have = body_.size();
            room = static_cast<std::size_t>(std::min<std::uint64_t>(length_ - have, read_step));
            body_.resize(have + room);
            to = body_.data() + have;
        }
        ssize_t n = 0;
        if (room > 0)
            n = ::recv(socket, to, room, MSG_DONTWAIT);
        const int error = errno;
        if (length_known_)
            body_.resize(body_.size() - room + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
        if (n < 0) {
            if (error == EINTR)
                continue;
            if (error == EAGAIN || error == EWOULDBLOCK)
                return Outcome::timed_out;
            if (error != ECONNRESET) {
                errno = error;
                platform::throw_errno("receiving from " + what_);
            }
            n = 0;
        }
        if (n == 0 && room > 0) {
            if (head_read_ > 0)
                refuse("ended in the middle of a message");
            return Outcome::ended;
        }
        if (!length_known_) {
            head_read_ += static_cast<std::size_t>(n);
            parse_head(most);
        }
        if (length_known_ && body_.size() == length_)
            return Outcome::done;
        if (!deadline.passed())
            continue;
        // A peer that sends and sends does not make this wait longer.
        if (!std::exchange(late, true)) {
            int there = 0;
            left = ::ioctl(socket, FIONREAD, &there) == 0 && there > 0
                       ? static_cast<std::size_t>(there)
                       : 0;
        } else {
            left -= std::min(left, static_cast<std::size_t>(n));
        }
        if (left == 0)
            return Outcome::timed_out;
    }
}

std::unique_lock<platform::ForkLock> SocketLink::hold_reading() noexcept {
    std::unique_lock hold(reading_);
    if (reading_.torn()) {
        // The message that a thread of the parent was taking at the fork goes on there. Its bytes
        // here are left alone: they may have been moving.
        std::construct_at(&body_);
        head_read_ = 0;
        length_known_ = false;
    }
    return hold;
}

Link::Outcome SocketLink::receive(Received& into, platform::Deadline deadline, std::size_t most) {
    const auto own = use();
    for (;;) {
        {
            const auto hold = hold_reading();
            const Outcome outcome = read_some(own->socket.get(), most, deadline);
            if (outcome == Outcome::done) {
                into.read = std::exchange(body_, {});
                head_read_ = 0;
                length_known_ = false;
            }
            if (outcome != Outcome::timed_out)
                return outcome;
        }
        if (deadline.passed() || !await(*own, POLLIN, deadline))
            return Outcome::timed_out;
    }
}

Link::Outcome SocketLink::poll(platform::Deadline deadline) {
    const auto own = use();
    {
        const auto hold = hold_reading();
        if (head_read_ > 0) // recv() goes on with what has begun
            return Outcome::done;
    }
    while (await(*own, POLLIN, deadline)) {
        char byte = 0;
        const ssize_t n = ::recv(own->socket.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return Outcome::ended;
        if (n > 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
            return Outcome::done; // also an error: recv() says which
        if (deadline.is_poll())
            break; // another process has taken what had come
    }
    return Outcome::timed_out;
}

int SocketLink::descriptor() {
    return use()->socket.get();
}

Link::Held SocketLink::hold() {
    const auto own = use();
    return {own, own->socket.get(), own->wake.get()};
}

void SocketLink::send_fd(int fd) {
    const auto own = use();
    if (!local_)
        Link::send_fd(fd);
    const std::scoped_lock hold(own->sending);
    throw_if_closed(); // while this one waited
    for (;;) {
        const int error = platform::send_descriptor(own->socket.get(), fd);
        if (error == 0)
            return;
        if (error == EPIPE || error == ECONNRESET)
            throw BrokenPipe("send_fd() to a peer that has closed the connection or ended");
        if (error != EAGAIN) {
            errno = error;
            platform::throw_errno(fmt::format("sending descriptor {}", fd));
        }
        await(*own, POLLOUT, platform::Deadline::never());
    }
}

Link::Outcome SocketLink::receive_fd(int& fd, platform::Deadline deadline) {
    const auto own = use();
    if (!local_)
        return Link::receive_fd(fd, deadline);
    return await_descriptor(own->socket.get(), fd, [&] { return await(*own, POLLIN, deadline); });
}

namespace {
constexpr std::string_view reference_begins = "a connection through a socket";
} // namespace

bool SocketLink::is_reference(const std::string& text) noexcept {
    return text.starts_with(reference_begins);
}

// The other process goes on where this one is, with what has come of a message; and this one goes
// on too, as after a fork. Who reads on which side is for the program to say.
std::string SocketLink::depart() {
    const auto own = use();
    const std::uint32_t place = PassedDescriptors::add(own->socket.get());
    std::vector<std::byte> bytes(reference_begins.size());
    std::memcpy(bytes.data(), reference_begins.data(), reference_begins.size());
    ByteWriter writer(bytes);
    const auto hold = hold_reading();
    writer(place, local_, what_, head_, static_cast<std::uint64_t>(head_read_), length_,
           length_known_, body_);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::shared_ptr<SocketLink> SocketLink::arrive(const std::string& reference) {
    ByteReader reader(std::as_bytes(std::span(reference)).subspan(reference_begins.size()));
    std::uint32_t place = 0;
    bool local = false;
    std::string what;
    reader(place, local, what);
    const auto link = std::make_shared<SocketLink>(take_arrived(place), local, std::move(what));
    std::uint64_t head_read = 0;
    reader(link->head_, head_read, link->length_, link->length_known_, link->body_);
    if (head_read > link->head_.size())
        throw CorruptSharedMemory("a message brings a connection in a state that none is in");
    link->head_read_ = static_cast<std::size_t>(head_read);
    return link;
}

std::string SocketLink::describe() const {
    return fmt::format("<Connection to {}, {}>", what_, closed() ? "closed" : "open");
}

} // namespace multifork::detail
