#include <multifork/channel/listener.hpp>

#include "channel/client_proof.hpp"
#include "channel/socket_address.hpp"
#include "channel/socket_link.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <mutex>
#include <utility>

namespace multifork {
namespace detail {

struct ListenerState {
    ListenerState(Address a, const SocketOptions& o) : address(std::move(a)), options(o) {}
    ~ListenerState() { close(); }
    ListenerState(const ListenerState&) = delete;
    ListenerState& operator=(const ListenerState&) = delete;

    [[nodiscard]] std::shared_ptr<HeldSocket::Own> use() {
        auto own = held.use();
        if (!own)
            throw ConnectionClosed("this Listener was closed; accept before close()");
        return own;
    }
    void close() noexcept {
        const auto hold = hold_last();
        if (pid == platform::process_id() && !held.closed())
            take_file_away(); // while the socket keeps its inode from being another's
        held.close();
    }
    [[nodiscard]] std::unique_lock<platform::ForkLock> hold_last() noexcept {
        std::unique_lock hold(mutex);
        if (mutex.torn()) // half written by a thread of the parent
            std::construct_at(&last);
        return hold;
    }
    /// Only if it still is the file that bind() made: another program may have put its own there.
    void take_file_away() const noexcept {
        struct stat now {};
        if (inode != 0 && ::lstat(address.name().c_str(), &now) == 0 && now.st_ino == inode &&
            now.st_dev == device)
            ::unlink(address.name().c_str());
    }

    Address address;
    SocketOptions options;
    HeldSocket held;
    platform::ForkLock mutex; // of last; one close() at a time
    std::optional<Address> last;
    std::uint32_t pid = platform::process_id(); // who made it
    ino_t inode = 0;                            // of a Unix socket's file
    dev_t device = 0;
};

namespace {

[[noreturn]] void throw_socket(const char* what, const Address& address) {
    const int error = errno;
    const char* hint = "";
    if (error == EADDRINUSE)
        hint = address.family() == Address::Family::tcp
                   ? "; take another port, or end the program that has it"
                   : "; take another name, or remove the file if no program listens there";
    else if (error == ECONNREFUSED || error == ENOENT)
        hint = "; nobody listens there";
    else if (error == ETIMEDOUT)
        hint = "; too many wait there to be accepted, or nothing answers";
    throw Error(std::error_code(error, std::generic_category()),
                fmt::format("{} {}: {}{}", what, address.to_string(),
                            std::generic_category().message(error), hint));
}

platform::Descriptor new_socket(int family, const Address& address, int flags = 0) {
    platform::Descriptor socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
    if (!socket)
        throw_socket("making a socket for", address);
    return socket;
}

void send_at_once(int socket, const Address& address) noexcept {
    const int on = 1;
    if (address.family() == Address::Family::tcp)
        ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/// \throws AuthenticationError when the process at the other end is another user's
void check_user(int socket, const Address& address, const SocketOptions& options) {
    if (options.any_user || address.family() != Address::Family::unix_socket)
        return;
    ucred peer{};
    socklen_t length = sizeof peer;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
        throw_socket("asking who is at", address);
    if (peer.uid != ::geteuid())
        throw AuthenticationError(fmt::format(
            "the process at the other end of {} (pid {}) is user {}'s, and this one user {}'s; say "
            ".any_user = true if that is meant",
            address.to_string(), peer.pid, peer.uid, ::geteuid()));
}

/// How long connect() and what is sent may block; zero: as long as it takes.
void set_patience(int socket, std::int64_t ns) noexcept {
    const timeval patience{static_cast<std::time_t>(ns / 1'000'000'000),
                           static_cast<suseconds_t>(ns % 1'000'000'000 / 1000)};
    ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

/// \return 0 or the errno
int finish_connecting(int socket, platform::Deadline deadline) noexcept {
    pollfd done{socket, POLLOUT, 0};
    for (;;) {
        int left_ms = -1;
        if (!deadline.is_never())
            left_ms = static_cast<int>(std::clamp<std::int64_t>(
                (deadline.ns() - platform::monotonic_ns() + 999'999) / 1'000'000, 0, 1'000'000));
        const int r = ::poll(&done, 1, left_ms);
        if (r > 0)
            break;
        if (r == 0 && deadline.passed())
            return ETIMEDOUT;
    }
    int error = 0;
    socklen_t length = sizeof error;
    ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length);
    return error;
}

/// \return 0 or the errno
int connect_before(int socket, const SocketAddress& to, platform::Deadline deadline) noexcept {
    for (;;) {
        // The kernel lets those who find a full backlog wait, in turn, for as long as this says.
        if (!deadline.is_never())
            set_patience(socket,
                         std::max<std::int64_t>(deadline.ns() - platform::monotonic_ns(), 1000));
        const int error = ::connect(socket, to.get(), to.length) == 0 ? 0 : errno;
        if (!deadline.is_never())
            set_patience(socket, 0);
        if (to.family() != AF_UNIX)
            // TCP goes on by itself.
            return error == EINTR || error == EINPROGRESS ? finish_connecting(socket, deadline)
                                                          : error;
        if (error != EINTR && error != EAGAIN)
            return error;
        if (deadline.passed())
            return ETIMEDOUT;
    }
}

} // namespace

AnyConnection connect(const Address& address, const SocketOptions& options) {
    platform::Descriptor socket;
    for (const SocketAddress& to : resolve(address, false)) {
        socket = new_socket(to.family(), address);
        const int error =
            connect_before(socket.get(), to, platform::Deadline::after(options.handshake));
        if (error == 0)
            break;
        socket.reset();
        errno = error;
    }
    if (!socket)
        throw_socket("connecting to", address);
    check_user(socket.get(), address, options);
    send_at_once(socket.get(), address);
    AnyConnection connection(std::make_shared<SocketLink>(
        std::move(socket), address.family() == Address::Family::unix_socket, address.to_string()));
    if (options.authkey)
        prove_as_client(connection, *options.authkey, options.handshake);
    return connection;
}

AnyConnection adopt_socket(int fd) {
    int type = 0;
    int family = 0;
    socklen_t length = sizeof type;
    if (fd < 0 || ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 ||
        type != SOCK_STREAM ||
        (length = sizeof family, ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) != 0))
        throw InvalidArgument(fmt::format("{} is no stream socket; a connection needs one", fd));
    return AnyConnection(std::make_shared<SocketLink>(platform::Descriptor(fd), family == AF_UNIX,
                                                      fmt::format("socket {}", fd)));
}

} // namespace detail

Listener::Listener(const Address& address, const SocketOptions& options)
    : state_(std::make_shared<detail::ListenerState>(address, options)) {
    if (options.backlog < 1)
        throw InvalidArgument(fmt::format("a backlog of {}; at least 1", options.backlog));
    if (options.authkey && options.authkey->empty())
        throw InvalidArgument("an empty authentication key protects nothing; give a good one, or "
                              "none at all");
    const detail::SocketAddress at = detail::resolve(address, true).front();
    // Whoever accepts has polled before, and another may be quicker.
    platform::Descriptor socket = detail::new_socket(at.family(), address, SOCK_NONBLOCK);
    const bool tcp = address.family() == Address::Family::tcp;
    const int on = 1;
    if (tcp)
        ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(socket.get(), at.get(), at.length) != 0)
        detail::throw_socket("listening at", address);
    if (struct stat made{};
        !tcp && !address.abstract() && ::lstat(address.name().c_str(), &made) == 0) {
        state_->inode = made.st_ino;
        state_->device = made.st_dev;
    }
    platform::Descriptor wake = detail::HeldSocket::make_wake();
    const bool listens = wake && ::listen(socket.get(), options.backlog) == 0;
    const int error = errno;
    detail::SocketAddress bound;
    bound.length = sizeof bound.storage;
    if (tcp && ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound.storage),
                             &bound.length) == 0)
        if (const auto known = bound.to_address())
            state_->address = Address(address.name(), known->port());
    state_->held.open(std::move(socket), std::move(wake));
    if (!listens) {
        errno = error;
        detail::throw_socket("listening at", address);
    }
}

Listener::~Listener() = default;
Listener::Listener(Listener&&) noexcept = default;
Listener& Listener::operator=(Listener&&) noexcept = default;

detail::ListenerState& Listener::state() const {
    if (!state_)
        throw ConnectionClosed("this Listener was moved from; use the one it was moved to");
    return *state_;
}

AnyConnection Listener::accept_before(platform::Deadline deadline) {
    detail::ListenerState& listener = state();
    const auto own = listener.use();
    detail::SocketAddress from;
    platform::Descriptor socket;
    platform::Descriptor wake;
    for (;;) {
        from.length = sizeof from.storage;
        if (!detail::HeldSocket::await(*own, POLLIN, deadline))
            return {};
        static_cast<void>(listener.use()); // says if it was closed
        // Before accept4(): who finds no descriptor left for it leaves the caller in the backlog.
        if (!wake && !(wake = detail::HeldSocket::make_wake()))
            detail::throw_socket("accepting at", listener.address);
        socket = platform::Descriptor(::accept4(own->socket.get(),
                                                reinterpret_cast<sockaddr*>(&from.storage),
                                                &from.length, SOCK_CLOEXEC));
        if (socket)
            break;
        if (errno == EINTR || errno == ECONNABORTED || errno == EAGAIN) {
            if (deadline.passed())
                return {};
            continue;
        }
        detail::throw_socket("accepting at", listener.address);
    }
    detail::check_user(socket.get(), listener.address, listener.options);
    detail::send_at_once(socket.get(), listener.address);
    auto last = from.to_address();
    const std::string peer = last ? last->to_string() : listener.address.to_string();
    {
        const auto hold = listener.hold_last();
        listener.last = std::move(last);
    }
    AnyConnection connection(std::make_shared<detail::SocketLink>(
        std::move(socket), std::move(wake),
        listener.address.family() == Address::Family::unix_socket, peer));
    if (listener.options.authkey) {
        deliver_challenge(connection, *listener.options.authkey, listener.options.handshake);
        answer_challenge(connection, *listener.options.authkey, listener.options.handshake);
    }
    return connection;
}

const Address& Listener::address() const {
    return state().address;
}
std::optional<Address> Listener::last_accepted() const {
    const auto hold = state().hold_last();
    return state().last;
}
void Listener::close() noexcept {
    if (state_)
        state_->close();
}
bool Listener::closed() const noexcept {
    return !state_ || state_->held.closed();
}
int Listener::sentinel() const {
    return state().use()->socket.get();
}
std::string Listener::to_string() const {
    return state_ ? fmt::format("<Listener at {}, {}>", state_->address.to_string(),
                                closed() ? "closed" : "open")
                  : "<Listener nowhere>";
}

} // namespace multifork
