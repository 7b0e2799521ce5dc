#pragma once

#include <multifork/channel/crossing.hpp>
#include <multifork/format.hpp>
#include <multifork/platform/export.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace multifork {

/// Where a Listener listens. The family follows from the form.
///
///   "/run/app/socket"          a Unix socket with that file
///   "\0name"                   an abstract Unix socket: a name without a file, known to this
///                              machine's network namespace. Write it as a string_view literal
///   {"localhost", 6000}        TCP; port 0: one that is free
///   Address::any()             an abstract Unix socket with a name that nobody else has
class MULTIFORK_API Address {
public:
    using multifork_describable = void;
    enum class Family : std::uint8_t { unix_socket, tcp };

    /// \throws InvalidArgument  when it is empty, too long (107 bytes) or of another system's form
    Address(std::string_view path);                                // NOLINT: reads as Python's
    Address(const char* path) : Address(std::string_view(path)) {} // NOLINT
    Address(const std::string& path) : Address(std::string_view(path)) {} // NOLINT
    /// \throws InvalidArgument  for an empty host or a port beyond 65535
    Address(std::string_view host, std::uint32_t port);
    static Address any();

    [[nodiscard]] Family family() const noexcept { return family_; }
    /// The path, or name with its leading zero byte; of TCP the host.
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] bool abstract() const noexcept {
        return family_ == Family::unix_socket && name_.front() == '\0';
    }

    /// `/run/app/socket`, `@name` for an abstract one, `localhost:6000`
    [[nodiscard]] std::string to_string() const;
    friend bool operator==(const Address&, const Address&) = default;

private:
    Family family_ = Family::unix_socket;
    std::string name_;
    std::uint16_t port_ = 0;
};

namespace detail {
/// As an argument of a Process: where its parent listens.
template <>
struct Cross<Address> {
    static constexpr bool known = true;
    static constexpr bool brings_handles = true; // not by its bytes, in a container too
    static void write(ByteWriter& writer, const Address& address) {
        const bool tcp = address.family() == Address::Family::tcp;
        writer(tcp, address.name(), static_cast<std::uint32_t>(address.port()));
    }
    static Address read(ByteReader& reader) {
        bool tcp = false;
        std::string name;
        std::uint32_t port = 0;
        reader(tcp, name, port);
        return tcp ? Address(name, port) : Address(name);
    }
};
} // namespace detail

} // namespace multifork
