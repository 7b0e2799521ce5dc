#pragma once

#include "platform/system.hpp"

#include <multifork/channel/address.hpp>

#include <sys/socket.h>

#include <optional>
#include <vector>

namespace multifork::detail {

/// An address as the kernel takes it.
struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length = 0;
    [[nodiscard]] const sockaddr* get() const noexcept {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
    [[nodiscard]] int family() const noexcept { return storage.ss_family; }
    /// \return nothing for a Unix socket without a name, or with one that no Address has: a peer
    ///         may choose what the kernel takes
    [[nodiscard]] std::optional<Address> to_address() const;
};

/// What the name means: several for a host with several. \throws Error when it means nothing
[[nodiscard]] std::vector<SocketAddress> resolve(const Address& address, bool to_listen);

} // namespace multifork::detail
