#pragma once

#include <multifork/channel/codec.hpp>
#include <multifork/manager/served_type.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <utility>

// What a Manager's client and server say to each other: one message there, one back, in turn. Each
// is a head, by the codec, and behind it the arguments or the result.

namespace multifork::detail {

enum class CallKind : std::uint8_t { create = 1, call, drop, count, shutdown };

struct CallHead {
    std::uint8_t kind = 0;
    std::uint64_t object = 0;
    std::string name; // of the type or method
    std::string signature;
};

enum class CallOutcome : std::uint8_t {
    done = 1,
    threw,       // `type` and `text` are those of the exception
    not_exposed, // `text` says what is not there
};

struct ReplyHead {
    std::uint8_t outcome = 0;
    std::int32_t pid = 0;
    std::string type; // as the compiler names it
    std::string text;
};

template <class Head>
[[nodiscard]] Bytes join(const Head& head, const Bytes& tail) {
    Bytes message;
    message.reserve(256 + tail.size());
    encode(head, message);
    message.insert(message.end(), tail.begin(), tail.end());
    return message;
}

/// \throws CorruptSharedMemory when it is no such message
template <class Head>
[[nodiscard]] std::pair<Head, std::span<const std::byte>>
split(std::span<const std::byte> message) {
    Head head;
    ByteReader reader(message);
    try {
        reader(head);
    } catch (const cereal::Exception& error) {
        throw CorruptSharedMemory(std::string("a message cannot be read: ") + error.what());
    }
    return {std::move(head), message.last(reader.left())};
}

} // namespace multifork::detail
