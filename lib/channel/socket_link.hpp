#pragma once

#include "channel/held_socket.hpp"
#include "channel/link.hpp"
#include "platform/fork_lock.hpp"
#include "platform/system.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace multifork::detail {

/// A connection through a stream socket. A message is framed as in Python: four bytes of length,
/// big-endian, then the bytes; a length above 2^31 - 1 is -1 and then eight bytes.
///
/// A message that has come in part is kept until the rest comes, so that a wait may end in between.
/// Memory for a long one is taken as it comes, not as it is announced.
class SocketLink final : public Link {
public:
    /// \param what  for people: the address of the peer
    /// \param wake  from HeldSocket::make_wake()
    SocketLink(platform::Descriptor socket, platform::Descriptor wake, bool local,
               std::string what);
    /// \throws Error when this process has no room for another descriptor
    SocketLink(platform::Descriptor socket, bool local, std::string what);
    ~SocketLink() override;

    bool send(const Outgoing& message, platform::Deadline deadline) override;
    Outcome receive(Received& into, platform::Deadline deadline, std::size_t most) override;
    Outcome poll(platform::Deadline deadline) override;
    void close() noexcept override;
    bool closed() const noexcept override { return held_.closed(); }
    bool readable() const noexcept override { return true; }
    bool writable() const noexcept override { return true; }
    int descriptor() override;
    Held hold() override;
    void send_fd(int fd) override;
    Outcome receive_fd(int& fd, platform::Deadline deadline) override;
    std::string depart() override;
    std::string describe() const override;

    /// Whether depart() of a SocketLink made it. (A PipeLink's begins with the number of a record.)
    [[nodiscard]] static bool is_reference(const std::string& text) noexcept;
    /// \throws CorruptSharedMemory
    [[nodiscard]] static std::shared_ptr<SocketLink> arrive(const std::string& reference);

private:
    using Own = HeldSocket::Own;
    [[nodiscard]] std::shared_ptr<Own> use();
    void throw_if_closed() const;
    /// \return false when time ran out \throws ConnectionClosed when it is closed meanwhile
    bool await(const Own& own, short what, platform::Deadline deadline) const;
    [[nodiscard]] std::unique_lock<platform::ForkLock> hold_reading() noexcept;
    /// Reads what is there; after the deadline, what was there then.
    /// \return done when a message is whole; timed_out: not yet
    Outcome read_some(int socket, std::size_t most, platform::Deadline deadline);
    void check_length(std::uint64_t length, std::size_t most);
    void parse_head(std::size_t most);
    [[noreturn]] void refuse(const std::string& why);

    HeldSocket held_;
    bool local_;
    std::string what_;

    platform::ForkLock reading_; // of what follows; never held while waiting
    std::array<std::byte, 12> head_{};
    std::size_t head_read_ = 0;
    std::uint64_t length_ = 0;
    bool length_known_ = false;
    std::vector<std::byte> body_;
};

} // namespace multifork::detail
