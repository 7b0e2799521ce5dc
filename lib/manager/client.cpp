#include "manager/type_names.hpp"
#include "manager/wire.hpp"

#include <multifork/channel/listener.hpp>
#include <multifork/manager/proxy.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <new>
#include <stdexcept>
#include <typeinfo>
#include <utility>
#include <vector>

// The caller's side. Each thread has a connection of its own to each server that it calls, and so a
// server's answer is always that to the last question. A forked child finds its parent's
// connections and makes others: the answers on those are not for it.

namespace multifork {
namespace detail {
namespace {

using namespace std::chrono_literals;

struct Line {
    Address address;
    std::string authkey;
    pid_t owner = 0;
    AnyConnection connection;
};

constexpr std::size_t most_lines = 16;
constinit thread_local std::vector<Line> lines; // the last one used is the last

/// This thread's connection to the server. \return null when it has none
AnyConnection* known_line(const ManagerClient& server) {
    const pid_t me = ::getpid();
    std::erase_if(lines, [&](const Line& line) { return line.owner != me; });
    const auto found = std::find_if(lines.begin(), lines.end(), [&](const Line& line) {
        return line.address == server.address && line.authkey == server.authkey;
    });
    if (found == lines.end())
        return nullptr;
    std::rotate(found, found + 1, lines.end());
    return &lines.back().connection;
}

AnyConnection& line_to(const ManagerClient& server, std::chrono::nanoseconds patience) {
    if (AnyConnection* const known = known_line(server))
        return *known;
    auto connection =
        connect(server.address,
                {.authkey = server.authkey, .any_user = server.any_user, .handshake = patience});
    if (lines.size() >= most_lines)
        lines.erase(lines.begin());
    lines.push_back({server.address, server.authkey, ::getpid(), std::move(connection)});
    return lines.back().connection;
}

void cut_line(const ManagerClient& server) noexcept {
    if (known_line(server) != nullptr)
        lines.pop_back();
}

template <class E>
void raise(const std::string& text) {
    std::throw_with_nested(E(text));
}
template <>
void raise<std::bad_alloc>(const std::string&) {
    std::throw_with_nested(std::bad_alloc());
}

struct KnownException {
    const std::type_info& type;
    void (*raise)(const std::string&);
};
constexpr KnownException known_exceptions[] = {
    {typeid(std::bad_alloc), raise<std::bad_alloc>},
    {typeid(std::logic_error), raise<std::logic_error>},
    {typeid(std::domain_error), raise<std::domain_error>},
    {typeid(std::invalid_argument), raise<std::invalid_argument>},
    {typeid(std::length_error), raise<std::length_error>},
    {typeid(std::out_of_range), raise<std::out_of_range>},
    {typeid(std::runtime_error), raise<std::runtime_error>},
    {typeid(std::range_error), raise<std::range_error>},
    {typeid(std::overflow_error), raise<std::overflow_error>},
    {typeid(std::underflow_error), raise<std::underflow_error>},
    {typeid(InvalidArgument), raise<InvalidArgument>},
    {typeid(QueueClosed), raise<QueueClosed>},
    {typeid(OwnerDied), raise<OwnerDied>},
    {typeid(NotOwner), raise<NotOwner>},
    {typeid(WouldDeadlock), raise<WouldDeadlock>},
    {typeid(BrokenBarrier), raise<BrokenBarrier>},
    {typeid(EndOfStream), raise<EndOfStream>},
    {typeid(NotFound), raise<NotFound>},
    {typeid(AlreadyExists), raise<AlreadyExists>},
    {typeid(OutOfSharedMemory), raise<OutOfSharedMemory>},
    {typeid(CorruptSharedMemory), raise<CorruptSharedMemory>},
};

[[noreturn]] void rethrow(const ManagerClient& server, const CallHead& asked,
                          const ReplyHead& reply) {
    const std::string where =
        fmt::format("{}() in the manager at {}", asked.name, server.address.to_string());
    if (reply.outcome != static_cast<std::uint8_t>(CallOutcome::threw))
        throw RemoteError("NotExposed", reply.text, where, reply.pid);
    try {
        throw RemoteError(readable_type(reply.type), reply.text, where, reply.pid);
    } catch (const RemoteError&) {
        if (const auto own = server.rethrowers.find(reply.type); own != server.rethrowers.end())
            own->second(reply.text);
        for (const KnownException& known : known_exceptions)
            if (reply.type == known.type.name())
                known.raise(reply.text);
        throw;
    }
}

Bytes ask(const ManagerClient& server, const CallHead& head, const Bytes& arguments) {
    AnyConnection& line = line_to(server, 20s);
    Bytes message;
    try {
        line.send_bytes(join(head, arguments));
        message = line.recv_bytes();
    } catch (const Error& error) {
        cut_line(server);
        throw EndOfStream(fmt::format("the manager at {} ended during {}(), and whether that was "
                                      "done is not known: {}",
                                      server.address.to_string(), head.name, error.what()));
    } catch (...) {
        cut_line(server); // or the next question would get the answer to this one
        throw;
    }
    const auto [reply, result] = split<ReplyHead>(message);
    if (reply.outcome != static_cast<std::uint8_t>(CallOutcome::done))
        rethrow(server, head, reply);
    return {result.begin(), result.end()};
}

CallHead head_of(CallKind kind, std::uint64_t object, std::string_view name,
                 std::string_view signature) {
    return {static_cast<std::uint8_t>(kind), object, std::string(name), std::string(signature)};
}

} // namespace

std::uint64_t ManagerClient::create(std::string_view type, std::string_view signature,
                                    const Bytes& arguments) const {
    return decode<std::uint64_t>(
        ask(*this, head_of(CallKind::create, 0, type, signature), arguments));
}

Bytes ManagerClient::call(std::uint64_t object, std::string_view method, std::string_view signature,
                          const Bytes& arguments) const {
    return ask(*this, head_of(CallKind::call, object, method, signature), arguments);
}

void ManagerClient::drop(std::uint64_t object) const {
    ask(*this, head_of(CallKind::drop, object, "drop", ""), {});
}

std::uint64_t ManagerClient::count() const {
    return decode<std::uint64_t>(ask(*this, head_of(CallKind::count, 0, "objects", ""), {}));
}

bool ManagerClient::shut_down() const noexcept {
    try {
        AnyConnection& line = line_to(*this, 2s);
        line.send_bytes(join(head_of(CallKind::shutdown, 0, "shutdown", ""), {}));
        const bool heard = line.try_recv_bytes_for(2s).has_value();
        cut_line(*this);
        return heard;
    } catch (const std::exception&) {
        cut_line(*this);
        return false;
    }
}

} // namespace detail

const detail::ManagerClient& Proxy::client() const {
    if (!client_)
        throw InvalidArgument("this Proxy is one of nothing; get one from Manager::create()");
    return *client_;
}

bool Proxy::same_server(const Proxy& other) const noexcept {
    return client_ && other.client_ && client_->address == other.client_->address;
}

std::string Proxy::to_string() const {
    return client_
               ? fmt::format("<Proxy of {} {} at {}>", type_, object_, client_->address.to_string())
               : "<Proxy of nothing>";
}

} // namespace multifork
