#include "manager/server.hpp"

#include "manager/type_names.hpp"
#include "platform/log.hpp"

#include <multifork/channel/authentication.hpp>

#include <cxxabi.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <typeinfo>
#include <utility>

namespace multifork::detail {
namespace {

constexpr int most_connections = 1000; // a thread each
// Beside them. When there are so many, or no descriptor is left, each has a second; and else the
// time of the handshake.
constexpr std::size_t most_strangers = 200;
constexpr std::chrono::seconds strangers_time{1};

/// Nothing of that name, id or signature is here.
struct NotExposed {
    std::string text;
};

ReplyHead thrown_now(const char* what) {
    const std::type_info* const type = abi::__cxa_current_exception_type();
    return {static_cast<std::uint8_t>(CallOutcome::threw), ::getpid(),
            type != nullptr ? type->name() : "unknown", what};
}

void check_signature(const std::string& name, const std::string& ours, const std::string& theirs) {
    if (ours != theirs)
        throw NotExposed{fmt::format("{} is exposed as {} and was called as {}; both must be the "
                                     "same, so convert the arguments",
                                     name, readable_signature(ours), readable_signature(theirs))};
}

} // namespace

void Server::serve() {
    for (;;) {
        await_room_for_a_stranger();
        AnyConnection connection;
        try {
            connection = listener_.accept();
        } catch (const ConnectionClosed&) {
            return;
        } catch (const AuthenticationError& error) { // another user's process
            platform::log(LogLevel::info, error.what());
            continue;
        } catch (const Error& error) {
            // No descriptor left. Nothing tells when one is free; the caller waits in the backlog.
            platform::log(LogLevel::info, error.what());
            {
                const std::scoped_lock hold(meeting_);
                static_cast<void>(drop_oldest_stranger());
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
            continue;
        }
        if (connections_ >= most_connections) {
            platform::log(LogLevel::warning, "too many connections; one is refused");
            continue;
        }
        {
            const std::scoped_lock hold(meeting_);
            strangers_.push_back({connection, std::chrono::steady_clock::now()});
        }
        try {
            std::thread([this, connection] { attend(connection); }).detach();
        } catch (const std::system_error& error) { // no thread left
            platform::log(LogLevel::warning, error.what());
            forget_stranger(connection);
        }
    }
}

void Server::await_room_for_a_stranger() {
    std::unique_lock hold(meeting_);
    while (strangers_.size() >= most_strangers && !drop_oldest_stranger())
        one_left_.wait_until(hold, strangers_.front().since + strangers_time);
}

bool Server::drop_oldest_stranger() {
    if (strangers_.empty() ||
        std::chrono::steady_clock::now() - strangers_.front().since < strangers_time)
        return false;
    strangers_.front().connection.close(); // which ends its thread
    strangers_.pop_front();
    return true;
}

void Server::forget_stranger(const AnyConnection& connection) {
    const std::scoped_lock hold(meeting_);
    std::erase_if(strangers_, [&](const Stranger& one) {
        return one.connection.shared_link() == connection.shared_link();
    });
    one_left_.notify_one();
}

void Server::attend(AnyConnection connection) {
    try {
        // Here and not in accept(): who says nothing holds up nobody but this thread.
        try {
            deliver_challenge(connection, authkey_);
            answer_challenge(connection, authkey_);
        } catch (...) {
            forget_stranger(connection);
            throw;
        }
        ++connections_;
        struct Leaving {
            std::atomic<int>& count;
            ~Leaving() { --count; } // also by pthread_exit() in a method
        } const leaving{connections_};
        forget_stranger(connection);
        for (bool ends = false; !ends;) {
            const Bytes message = connection.recv_bytes();
            connection.send_bytes(answer(message, ends));
            if (ends)
                listener_.close();
        }
    } catch (const std::exception& error) {
        // The caller has gone, was killed, does not know the key, or speaks something else.
        platform::log(LogLevel::debug, error.what());
    }
}

Bytes Server::answer(std::span<const std::byte> message, bool& ends) {
    ReplyHead head{static_cast<std::uint8_t>(CallOutcome::done), ::getpid(), {}, {}};
    Bytes result;
    try {
        const auto [asked, arguments] = split<CallHead>(message);
        ends = asked.kind == static_cast<std::uint8_t>(CallKind::shutdown);
        carry_out(asked, arguments, result);
    } catch (const abi::__forced_unwind&) {
        throw;
    } catch (const NotExposed& missing) {
        head.outcome = static_cast<std::uint8_t>(CallOutcome::not_exposed);
        head.text = missing.text;
    } catch (const std::exception& error) {
        head = thrown_now(error.what());
    } catch (...) {
        head = thrown_now("");
    }
    if (head.outcome != static_cast<std::uint8_t>(CallOutcome::done))
        result.clear();
    return join(head, result);
}

void Server::carry_out(const CallHead& head, std::span<const std::byte> arguments, Bytes& result) {
    switch (static_cast<CallKind>(head.kind)) {
    case CallKind::create:
        return encode(create(head, arguments), result);
    case CallKind::call:
        return call(head, arguments, result);
    case CallKind::drop:
        return drop(head.object);
    case CallKind::count: {
        const std::scoped_lock hold(mutex_);
        return encode(std::uint64_t{objects_.size()}, result);
    }
    case CallKind::shutdown:
        return;
    }
    throw NotExposed{fmt::format("a request of kind {}, which this server does not know",
                                 static_cast<int>(head.kind))};
}

std::uint64_t Server::create(const CallHead& head, std::span<const std::byte> arguments) {
    const auto type = types_.find(head.name);
    if (type == types_.end())
        throw NotExposed{fmt::format("no type '{}' is registered with this manager", head.name)};
    check_signature(head.name, type->second.signature, head.signature);
    auto object = std::make_shared<Object>();
    {
        const std::scoped_lock hold(making_);
        object->it = type->second.make(arguments);
    }
    if (!object->it)
        throw NotExposed{fmt::format("what makes a '{}' gave nothing", head.name)};
    object->type = &type->second;
    object->type_name = head.name;
    object->uses = 1;
    const std::scoped_lock hold(mutex_);
    for (const auto& [id, known] : objects_)
        if (known->it == object->it && known->type == object->type) {
            ++known->uses; // one that is shared by all who ask for it
            return id;
        }
    objects_.emplace(++last_id_, std::move(object));
    return last_id_;
}

std::shared_ptr<Server::Object> Server::find(std::uint64_t id) {
    const std::scoped_lock hold(mutex_);
    const auto found = objects_.find(id);
    if (found == objects_.end())
        throw NotExposed{fmt::format("object {} is not there: it was dropped, or belongs to "
                                     "another server",
                                     id)};
    return found->second;
}

void Server::call(const CallHead& head, std::span<const std::byte> arguments, Bytes& result) {
    const auto object = find(head.object);
    const auto method = object->type->methods.find(head.name);
    if (method == object->type->methods.end())
        throw NotExposed{
            fmt::format("'{}' has no method '{}' that is exposed", object->type_name, head.name)};
    check_signature(head.name, method->second.signature, head.signature);
    if (object->type->concurrent)
        return method->second.call(object->it.get(), arguments, result);
    const std::scoped_lock one_at_a_time(object->busy);
    method->second.call(object->it.get(), arguments, result);
}

void Server::drop(std::uint64_t id) {
    const auto object = find(id); // destroyed, if it is, without the mutex
    const std::scoped_lock hold(mutex_);
    if (object->uses > 0 && --object->uses == 0)
        objects_.erase(id);
}

} // namespace multifork::detail
