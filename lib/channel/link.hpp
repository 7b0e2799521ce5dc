#pragma once

#include "channel/source.hpp"
#include "platform/system.hpp"

#include <multifork/channel/connection.hpp>
#include <multifork/platform/clock.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace multifork::detail {

/// What a connection goes through: a pipe in shared memory, or a socket.
class Link {
public:
    Link() = default;
    virtual ~Link() = default;
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    enum class Outcome : std::uint8_t { done, timed_out, ended };

    /// \return false when time ran out; nothing was sent then \throws BrokenPipe, ConnectionClosed
    [[nodiscard]] virtual bool send(const Outgoing& message, platform::Deadline deadline) = 0;
    /// \param most  a longer message is refused with an Error \throws ConnectionClosed
    [[nodiscard]] virtual Outcome receive(Received& into, platform::Deadline deadline,
                                          std::size_t most) = 0;
    /// done: there is a message, or a part of one; ended: there will be none.
    [[nodiscard]] virtual Outcome poll(platform::Deadline deadline) = 0;

    virtual void close() noexcept = 0;
    [[nodiscard]] virtual bool closed() const noexcept = 0;
    [[nodiscard]] virtual bool readable() const noexcept = 0;
    [[nodiscard]] virtual bool writable() const noexcept = 0;

    /// What to wait for: something in shared memory, or a descriptor.
    [[nodiscard]] virtual std::shared_ptr<Source> source() { return nullptr; }
    [[nodiscard]] virtual int descriptor() { return -1; }
    /// A socket, which stays open as long as somebody has `keep`, and what is readable once this
    /// process has closed the connection; -1 both for what lies in shared memory.
    struct Held {
        std::shared_ptr<const void> keep;
        int socket = -1;
        int closed = -1;
    };
    /// \throws ConnectionClosed
    [[nodiscard]] virtual Held hold() { return {}; }

    /// \throws Error when this kind of link takes none
    virtual void send_fd(int fd);
    /// \return Outcome::done, and the descriptor in `fd` \throws the same
    [[nodiscard]] virtual Outcome receive_fd(int& fd, platform::Deadline deadline);

    /// Takes another end for a message to bring. \throws Error when it cannot bring this one
    [[nodiscard]] virtual std::string depart() = 0;
    [[nodiscard]] virtual std::string describe() const = 0;

protected:
    /// Receives a descriptor from a Unix socket; `wait()` waits and says false when time ran out.
    [[nodiscard]] static Outcome await_descriptor(int socket, int& fd,
                                                  const std::function<bool()>& wait);
    [[noreturn]] static void throw_direction(const char* verb, const char* wants);
};

} // namespace multifork::detail
