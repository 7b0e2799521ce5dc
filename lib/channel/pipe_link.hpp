#pragma once

#include "arena/pipe_end.hpp"
#include "channel/held_socket.hpp"
#include "channel/link.hpp"

#include <memory>
#include <string>

namespace multifork::detail {

/// A connection through shared memory: the reading end of one one-way pipe, the writing end of
/// another, or one of these.
class PipeLink final : public Link {
public:
    /// \param descriptors  one of a pair of Unix sockets for send_fd(); may be empty
    /// \throws Error when there is one, and this process has no room for another descriptor
    PipeLink(std::shared_ptr<arena::PipeEnd> in, std::shared_ptr<arena::PipeEnd> out,
             platform::Descriptor descriptors = {});
    ~PipeLink() override { close(); }

    bool send(const Outgoing& message, platform::Deadline deadline) override;
    Outcome receive(Received& into, platform::Deadline deadline, std::size_t most) override;
    Outcome poll(platform::Deadline deadline) override;
    void close() noexcept override;
    bool closed() const noexcept override;
    bool readable() const noexcept override { return in_ != nullptr; }
    bool writable() const noexcept override { return out_ != nullptr; }
    std::shared_ptr<Source> source() override;
    void send_fd(int fd) override;
    Outcome receive_fd(int& fd, platform::Deadline deadline) override;
    std::string depart() override;
    std::string describe() const override;

    static std::shared_ptr<PipeLink> arrive(const std::string& reference);
    static void cancel(const std::string& reference) noexcept;

private:
    [[nodiscard]] arena::PipeEnd& reading(const char* verb) const;
    [[nodiscard]] arena::PipeEnd& writing(const char* verb) const;

    /// \return null when it was made without
    [[nodiscard]] std::shared_ptr<HeldSocket::Own> descriptors();
    /// \return false when time ran out \throws ConnectionClosed when it is closed meanwhile
    bool await(const HeldSocket::Own& own, short what, platform::Deadline deadline) const;

    std::shared_ptr<arena::PipeEnd> in_;
    std::shared_ptr<arena::PipeEnd> out_;
    bool has_descriptors_;
    HeldSocket descriptors_;
};

} // namespace multifork::detail
