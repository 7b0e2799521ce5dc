#include "channel/socket_address.hpp"

#include <multifork/error.hpp>

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>

namespace multifork::detail {

std::optional<Address> SocketAddress::to_address() const {
    if (family() == AF_UNIX) {
        const auto* const local = reinterpret_cast<const sockaddr_un*>(&storage);
        const std::size_t bytes = length - offsetof(sockaddr_un, sun_path);
        if (length <= offsetof(sockaddr_un, sun_path) || bytes > sizeof local->sun_path)
            return std::nullopt;
        try {
            if (local->sun_path[0] == '\0')
                return Address(std::string_view(local->sun_path, bytes));
            return Address(std::string_view(local->sun_path, ::strnlen(local->sun_path, bytes)));
        } catch (const InvalidArgument&) {
            return std::nullopt;
        }
    }
    std::array<char, NI_MAXHOST> host{};
    std::array<char, NI_MAXSERV> port{};
    if (::getnameinfo(get(), length, host.data(), host.size(), port.data(), port.size(),
                      NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return std::nullopt;
    return Address(host.data(), static_cast<std::uint32_t>(std::stoul(port.data())));
}

std::vector<SocketAddress> resolve(const Address& address, bool to_listen) {
    std::vector<SocketAddress> found;
    if (address.family() == Address::Family::unix_socket) {
        SocketAddress one;
        auto* const local = reinterpret_cast<sockaddr_un*>(&one.storage);
        local->sun_family = AF_UNIX;
        std::memcpy(local->sun_path, address.name().data(), address.name().size());
        const std::size_t ending = address.abstract() ? 0 : 1; // a path ends with a zero byte
        one.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) +
                                            address.name().size() + ending);
        found.push_back(one);
        return found;
    }
    addrinfo wanted{};
    wanted.ai_family = AF_UNSPEC;
    wanted.ai_socktype = SOCK_STREAM;
    wanted.ai_flags = to_listen ? AI_PASSIVE : 0;
    addrinfo* list = nullptr;
    const int error = ::getaddrinfo(address.name().c_str(), std::to_string(address.port()).c_str(),
                                    &wanted, &list);
    if (error != 0)
        throw Error(std::errc::address_not_available,
                    fmt::format("'{}' is no host that this machine knows: {}", address.name(),
                                ::gai_strerror(error)));
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> keep(list, ::freeaddrinfo);
    // IPv4 first: that is what "localhost" means to Python's Listener.
    for (const int family : {AF_INET, AF_INET6})
        for (const addrinfo* info = list; info != nullptr; info = info->ai_next)
            if (info->ai_family == family && info->ai_addrlen <= sizeof(sockaddr_storage)) {
                SocketAddress one;
                std::memcpy(&one.storage, info->ai_addr, info->ai_addrlen);
                one.length = info->ai_addrlen;
                found.push_back(one);
            }
    return found;
}

} // namespace multifork::detail
