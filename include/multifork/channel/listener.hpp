#pragma once

#include <multifork/channel/address.hpp>
#include <multifork/channel/authentication.hpp>
#include <multifork/channel/connection.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/platform/export.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace multifork {

/// How a connection through a socket begins.
struct SocketOptions {
    /// Both sides must prove that they know it; nothing: no proof is asked for.
    std::optional<std::string> authkey = std::nullopt;
    /// On Unix sockets, take peers of other users too. Otherwise the kernel is asked who it is, and
    /// other users get AuthenticationError. (Not that of a user's own: root may do everything.)
    bool any_user = false;
    /// How long it may take to connect, and then each side's proof.
    std::chrono::nanoseconds handshake = std::chrono::seconds(20);
    /// Of a Listener: how many may wait to be accepted.
    int backlog = 16;
};

namespace detail {
struct ListenerState;
} // namespace detail

/// Waits for other programs, related or not, to connect.
///
/// \code
///   mp::Listener listener{"/run/app/socket", {.authkey = "secret"}};
///   auto connection = listener.accept<std::string>();
///   fmt::print("{}\n", connection.recv());
/// \endcode
///
/// A Listener that goes out of scope closes; the process that made it then takes the file of a Unix
/// socket away.
///
/// \threads  accept() from several threads is safe
/// \fork     the child inherits it, and may accept too
class MULTIFORK_API Listener {
public:
    using multifork_describable = void;

    /// \throws Error  when the address is in use or cannot be had; InvalidArgument
    explicit Listener(const Address& address = Address::any(), const SocketOptions& options = {});
    ~Listener();
    Listener(Listener&&) noexcept;
    Listener& operator=(Listener&&) noexcept;

    /// Waits for somebody to connect.
    /// \throws AuthenticationError  when it was the wrong one; the listener goes on
    /// \throws ConnectionClosed     after close(), also by another thread
    template <class T = void>
    [[nodiscard]] Connection<T> accept() {
        return Connection<T>(accept_before(platform::Deadline::never()).shared_link());
    }
    /// Waits at most `wait`. \return nothing when time ran out \throws as accept()
    template <class T = void, class Rep, class Period>
    [[nodiscard]] std::optional<Connection<T>>
    try_accept_for(const std::chrono::duration<Rep, Period>& wait) {
        const auto accepted = accept_before(platform::Deadline::after(wait));
        if (!accepted.shared_link())
            return std::nullopt;
        return Connection<T>(accepted.shared_link());
    }

    /// Where it listens; with the port that was free.
    [[nodiscard]] const Address& address() const;
    /// Where the last one that was accepted came from; nothing for Unix sockets without a name,
    /// or with one that an Address cannot have.
    [[nodiscard]] std::optional<Address> last_accepted() const;

    void close() noexcept;
    [[nodiscard]] bool closed() const noexcept;
    /// A descriptor that is readable when somebody wants to connect; for wait() and poll().
    /// \throws ConnectionClosed
    [[nodiscard]] int sentinel() const;

    /// `<Listener at localhost:6000, open>`
    [[nodiscard]] std::string to_string() const;

private:
    [[nodiscard]] AnyConnection accept_before(platform::Deadline deadline);
    [[nodiscard]] detail::ListenerState& state() const;
    std::shared_ptr<detail::ListenerState> state_;
};

namespace detail {
[[nodiscard]] MULTIFORK_API AnyConnection connect(const Address& address,
                                                  const SocketOptions& options);
[[nodiscard]] MULTIFORK_API AnyConnection adopt_socket(int fd);
} // namespace detail

/// Connects to a Listener.
/// \throws Error                when nobody listens there, or nobody takes it in time
/// \throws AuthenticationError  when the keys differ, or the listener is another user's
template <class T = void>
[[nodiscard]] Connection<T> Client(const Address& address, const SocketOptions& options = {}) {
    return Connection<T>(detail::connect(address, options).shared_link());
}

/// Makes a connection of a connected stream socket, as from recv_fd(); takes the descriptor over.
/// \throws InvalidArgument when it is none; the descriptor then stays the caller's
template <class T = void>
[[nodiscard]] Connection<T> connection_from(int socket) {
    return Connection<T>(detail::adopt_socket(socket).shared_link());
}

} // namespace multifork
