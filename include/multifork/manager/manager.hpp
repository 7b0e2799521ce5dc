#pragma once

#include <multifork/channel/address.hpp>
#include <multifork/manager/proxy.hpp>
#include <multifork/manager/served_type.hpp>
#include <multifork/platform/export.hpp>

#include <concepts>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>

namespace multifork {

struct ManagerOptions {
    /// Where the server listens; a file, an abstract name or a TCP port.
    Address address = Address::any();
    /// What callers must know; nothing: this_process::authkey(), which the whole tree has.
    std::optional<std::string> authkey = std::nullopt;
    /// On Unix sockets, take callers of other users too, if they know the key.
    bool any_user = false;
};

/// A process in which objects live that others call, by name, through a socket.
///
/// *The shared types are the fast way*: a Value, Queue, List or Dict needs no server, and is used
/// at the speed of memory, where a call here takes two messages and two switches of process. A
/// Manager is for what must live in one process: a database handle, a device, a cache of things
/// that cannot lie in shared memory; and for callers on other machines.
///
/// \code
///   mp::Manager manager;
///   manager.register_type<Counter>("Counter", [](int start) { return Counter{start}; })
///       .method("add", &Counter::add)
///       .method("history", &Counter::history);
///   manager.start();
///   mp::Proxy counter = manager.create("Counter", 5);
///   mp::Process child{[&] { counter.call<int>("add", 3); }};
/// \endcode
///
/// The server is a daemon: it ends with shutdown(), with the scope, and with this process, even if
/// that is killed. Like any child by fork it has a copy of what its parent has: start it early.
///
/// \threads   one thread at a time, except for create()
/// \processes a child may create and call; only the process that called start() ends the server
/// \crash     callers that are killed, that know another key or speak garbage harm nobody
class MULTIFORK_API Manager {
public:
    using multifork_describable = void;

    explicit Manager(ManagerOptions options = {});
    ~Manager();
    Manager(Manager&&) noexcept;
    Manager& operator=(Manager&&) noexcept;

    /// A manager whose server somebody else has started. There is nothing to register.
    /// \throws Error when nobody listens there; AuthenticationError
    [[nodiscard]] static Manager connect(const Address& address, std::string authkey,
                                         bool any_user = false);

    /// Says before start() which objects can be made there, and what of them can be called.
    /// \throws InvalidArgument when the name is taken, Error after start()
    template <class T>
        requires std::default_initializable<T> Served<T> register_type(std::string name) {
            detail::ServedType& type = add_type(std::move(name));
            type.signature = detail::signature_of<void>();
            type.make = [](std::span<const std::byte>) -> std::shared_ptr<void> {
                return std::make_shared<T>();
            };
            return Served<T>(type);
        }
    /// \param factory  makes one, in the server, from the arguments of create(): returns a T, or a
    ///                 std::shared_ptr<T>, which may be to the same object each time
    template <class T, class F>
    Served<T> register_type(std::string name, F factory) {
        detail::ServedType& type = add_type(std::move(name));
        detail::make_with<T>(
            type, std::move(factory),
            static_cast<const typename detail::SignatureOf<F>::Arguments*>(nullptr));
        return Served<T>(type);
    }
    /// Says that exceptions of this type, which can be made of a std::string, are thrown here as
    /// what they were there. For proxies that are created afterwards.
    template <class E>
        requires std::constructible_from<E, const std::string&>
    void register_exception() {
        add_exception(typeid(E).name(),
                      [](const std::string& text) { std::throw_with_nested(E(text)); });
    }

    /// Starts the server. \throws Error when it cannot listen; ProcessError
    void start();
    /// Makes an object there. \throws as Proxy::call()
    template <class... Args>
    [[nodiscard]] Proxy create(std::string_view type, const Args&... args) {
        return create_with(type, detail::signature_of<void, detail::Carried<Args>...>(),
                           detail::encode_arguments(args...));
    }
    /// How many objects live there.
    [[nodiscard]] std::uint64_t objects() const;

    /// Ends the server: asks it to, and after five seconds terminates it. Twice is once.
    /// \throws Error when it is somebody else's
    void shutdown();

    /// \throws Error before start()
    [[nodiscard]] const Address& address() const;
    [[nodiscard]] const std::string& authkey() const;
    /// Of the server; nothing before start(), and for a server that somebody else started.
    [[nodiscard]] std::optional<int> pid() const;
    /// Of the server: 0, or -SIGTERM; nothing while it runs.
    [[nodiscard]] std::optional<int> exitcode() const;
    /// `<Manager at @multifork-..., started>`
    [[nodiscard]] std::string to_string() const;

private:
    struct State;
    [[nodiscard]] State& state() const;
    [[nodiscard]] const std::shared_ptr<detail::ManagerClient>& client() const;
    [[nodiscard]] detail::ServedType& add_type(std::string name);
    void add_exception(const char* type, void (*rethrow)(const std::string&));
    [[nodiscard]] Proxy create_with(std::string_view type, const std::string& signature,
                                    const detail::Bytes& arguments);

    std::unique_ptr<State> state_;
};

} // namespace multifork
