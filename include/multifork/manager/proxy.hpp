#pragma once

#include <multifork/channel/address.hpp>
#include <multifork/format.hpp>
#include <multifork/manager/served_type.hpp>
#include <multifork/platform/export.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace multifork {

namespace detail {

/// Exceptions that can be thrown here when they were thrown there: by name.
using Rethrowers = std::map<std::string, void (*)(const std::string& text), std::less<>>;

/// Where a Manager's server is, and how to call it. Immutable; each thread has a connection of its
/// own, which it makes at its first call.
class MULTIFORK_API ManagerClient {
public:
    ManagerClient(Address server, std::string key, bool strangers)
        : address(std::move(server)), authkey(std::move(key)), any_user(strangers) {}

    /// \return the id of the object \throws as Proxy::call()
    [[nodiscard]] std::uint64_t create(std::string_view type, std::string_view signature,
                                       const Bytes& arguments) const;
    [[nodiscard]] Bytes call(std::uint64_t object, std::string_view method,
                             std::string_view signature, const Bytes& arguments) const;
    void drop(std::uint64_t object) const;
    /// \return how many objects live there
    [[nodiscard]] std::uint64_t count() const;
    /// Asks the server to end, without waiting long. \return whether it said that it will
    [[nodiscard]] bool shut_down() const noexcept;

    Address address;
    std::string authkey;
    bool any_user;
    Rethrowers rethrowers;
};

} // namespace detail

/// An object that lives in a Manager's server. Copies mean the same object.
///
/// It can travel, as an argument and in a message, to a process of any program. It then brings the
/// address and *the key* with it: send it only to who may know it.
///
/// \threads   safe: each thread has a connection of its own
/// \processes safe; the object runs one call at a time, unless its type was said to be concurrent()
/// \fork      a child may call at once; it makes a connection of its own
/// \crash     a caller that is killed: the call is done, or never arrived. A server that is killed:
///            EndOfStream for who waits, Error for later calls; its objects are gone
class MULTIFORK_API Proxy {
public:
    using multifork_describable = void;

    /// Of nothing: every call throws InvalidArgument.
    Proxy() noexcept = default;

    /// Calls `method` there, and waits for its result. R and the types of the arguments must be
    /// exactly those of the method: `call<long>("add", 1)` does not call `long add(long)`, but
    /// `call<long>("add", 1L)` does. Text may be given as a literal. A range is read as a vector.
    ///
    /// \throws what the method threw, if it is one of std's, of this library's, or was registered;
    ///         it is nested in that: see std::rethrow_if_nested
    /// \throws RemoteError  for all others, and when nothing of that name and type is exposed
    /// \throws EndOfStream  when the server ended meanwhile; whether the call was done is not known
    /// \throws Error        when there is no server any more; AuthenticationError
    template <class R = void, class... Args>
    R call(std::string_view method, const Args&... args) const {
        static_assert(std::is_void_v<R> || Codable<R>);
        const detail::Bytes result =
            client().call(object_, method, detail::signature_of<R, detail::Carried<Args>...>(),
                          detail::encode_arguments(args...));
        if constexpr (!std::is_void_v<R>)
            return decode<R>(result);
    }

    /// Lets the server forget the object, once for each time that it was created.
    void drop() const { client().drop(object_); }

    [[nodiscard]] const std::string& type() const noexcept { return type_; }
    friend bool operator==(const Proxy& a, const Proxy& b) noexcept {
        return a.object_ == b.object_ && (a.client_ == b.client_ || a.same_server(b));
    }
    /// `<Proxy of Counter 3 at @multifork-...>`
    [[nodiscard]] std::string to_string() const;

    template <class Archive>
    void save(Archive& archive) const {
        archive(client().address.name(), client().address.port(), client().authkey,
                client().any_user, object_, type_);
    }
    template <class Archive>
    void load(Archive& archive) {
        std::string name;
        std::string key;
        std::uint16_t port = 0;
        bool any_user = false;
        archive(name, port, key, any_user, object_, type_);
        client_ = std::make_shared<detail::ManagerClient>(
            port != 0 ? Address(name, port) : Address(name), std::move(key), any_user);
    }

    /// \internal
    Proxy(std::shared_ptr<const detail::ManagerClient> client, std::uint64_t object,
          std::string type) noexcept
        : client_(std::move(client)), object_(object), type_(std::move(type)) {}

private:
    [[nodiscard]] const detail::ManagerClient& client() const;
    [[nodiscard]] bool same_server(const Proxy& other) const noexcept;

    std::shared_ptr<const detail::ManagerClient> client_;
    std::uint64_t object_ = 0;
    std::string type_;
};

} // namespace multifork
