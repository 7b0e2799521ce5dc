#pragma once

#include <multifork/channel/changed.hpp>
#include <multifork/channel/codec.hpp>
#include <multifork/channel/container.hpp>
#include <multifork/channel/crossing.hpp>
#include <multifork/channel/message_ring.hpp>
#include <multifork/channel/travellers.hpp>
#include <multifork/error.hpp>
#include <multifork/memory/shareable.hpp>

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

/// \file
/// How elements, keys and values lie in a container: up to 8 bytes of a trivially copyable type in
/// the word itself, anything else as the codec's bytes in a block.

namespace multifork::detail {

template <class T>
inline constexpr bool fits_a_word = Shareable<T> && sizeof(T) <= sizeof(std::uint64_t);

template <class T>
    requires fits_a_word<T>
[[nodiscard]] std::uint64_t to_word(const T& value) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, &value, sizeof(T));
    return word;
}
template <class T>
    requires fits_a_word<T>
[[nodiscard]] T from_word(std::uint64_t word) noexcept {
    if constexpr (std::is_same_v<T, bool>) {
        return (word & 0xff) != 0; // any other byte in a bool is undefined behaviour
    } else {
        std::array<std::byte, sizeof(T)> bytes;
        std::memcpy(bytes.data(), &word, sizeof(T));
        return std::bit_cast<T>(bytes);
    }
}

template <Crossable T>
[[nodiscard]] Incoming to_store(arena::Space& space, const T& value) {
    if constexpr (fits_a_word<T>) {
        return Incoming(to_word(value));
    } else {
        Travellers travellers;
        MessageBuffer buffer;
        write_crossing(value, buffer.bytes());
        return Incoming(space, buffer.message(), travellers);
    }
}
/// With the container's lock held: until then its block keeps what handles in it lead to.
/// \throws CorruptSharedMemory, and what T's serialize() throws
template <Crossable T>
[[nodiscard]] T from_store(const Container& container, std::uint64_t word) {
    if constexpr (fits_a_word<T>)
        return from_word<T>(word);
    else
        return read_crossing<T>(container.bytes_at(word));
}

} // namespace multifork::detail
