#include <multifork/channel/address.hpp>

#include "platform/system.hpp"

#include <multifork/error.hpp>

#include <fmt/format.h>
#include <sys/random.h>
#include <sys/un.h>

#include <array>

namespace multifork {

Address::Address(std::string_view path) : name_(path) {
    constexpr std::size_t most = sizeof(sockaddr_un::sun_path) - 1;
    if (path.empty() || path.size() > most)
        throw InvalidArgument(fmt::format(
            "an address of {} bytes; the path of a Unix socket has 1 to {}", path.size(), most));
    if (path.starts_with("\\\\"))
        throw InvalidArgument(fmt::format("'{}' is a named pipe of Windows, which does not exist "
                                          "here; use a path, or a host and a port",
                                          path));
    if (path.front() == '\0' ? path.size() == 1 : path.find('\0') != std::string_view::npos)
        throw InvalidArgument("an address with a zero byte in it; only the name of an abstract "
                              "Unix socket begins with one, and has something behind it");
}

Address::Address(std::string_view host, std::uint32_t port)
    : family_(Family::tcp), name_(host), port_(static_cast<std::uint16_t>(port)) {
    if (host.empty() || host.find('\0') != std::string_view::npos)
        throw InvalidArgument("a TCP address needs a host, as in {\"localhost\", 6000}");
    if (port > 65535)
        throw InvalidArgument(fmt::format("port {}; the highest is 65535", port));
}

Address Address::any() {
    std::array<unsigned char, 12> random{};
    if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
        platform::throw_errno("asking the kernel for random bytes");
    std::string name(1, '\0');
    return Address(name + fmt::format("multifork-{:02x}", fmt::join(random, "")));
}

std::string Address::to_string() const {
    if (family_ == Family::tcp)
        return name_.find(':') != std::string::npos ? fmt::format("[{}]:{}", name_, port_)
                                                    : fmt::format("{}:{}", name_, port_);
    return abstract() ? "@" + name_.substr(1) : name_;
}

} // namespace multifork
