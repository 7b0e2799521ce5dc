#pragma once

#include "manager/wire.hpp"

#include <multifork/channel/listener.hpp>
#include <multifork/manager/served_type.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>

namespace multifork::detail {

/// A Manager's server: one thread for each connection, in a process that does nothing else.
///
/// Threads are never joined: they may be in a call that lasts for ever. So a Server is never
/// destroyed; the end of the process ends its threads.
class Server {
public:
    Server(Listener listener, std::string authkey, const ServedTypes& types)
        : listener_(std::move(listener)), authkey_(std::move(authkey)), types_(types) {}
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Returns when somebody who knows the key asks for it.
    void serve();

private:
    struct Object {
        std::shared_ptr<void> it;
        const ServedType* type = nullptr;
        std::string type_name;
        std::uint64_t uses = 0; ///< how often it was created and not dropped; under the mutex
        std::mutex busy;        ///< held during a call, unless the type is concurrent
    };

    /// Waits while there are too many, and none of them for long.
    void await_room_for_a_stranger();
    /// With `meeting_` held. \return false when none has been there for long
    [[nodiscard]] bool drop_oldest_stranger();
    void forget_stranger(const AnyConnection& connection);
    void attend(AnyConnection connection);
    [[nodiscard]] Bytes answer(std::span<const std::byte> message, bool& ends);
    void carry_out(const CallHead& head, std::span<const std::byte> arguments, Bytes& result);
    [[nodiscard]] std::uint64_t create(const CallHead& head, std::span<const std::byte> arguments);
    void call(const CallHead& head, std::span<const std::byte> arguments, Bytes& result);
    void drop(std::uint64_t id);
    [[nodiscard]] std::shared_ptr<Object> find(std::uint64_t id);

    Listener listener_;
    const std::string authkey_;
    const ServedTypes& types_;
    std::atomic<int> connections_{0}; // of callers that know the key

    struct Stranger {
        AnyConnection connection;
        std::chrono::steady_clock::time_point since;
    };
    std::mutex meeting_;             // of what follows
    std::deque<Stranger> strangers_; // they have not proved yet that they know the key
    std::condition_variable one_left_;

    std::mutex making_; // one object at a time: what makes them may share something
    std::mutex mutex_;  // of what follows
    std::map<std::uint64_t, std::shared_ptr<Object>> objects_;
    std::uint64_t last_id_ = 0;
};

} // namespace multifork::detail
