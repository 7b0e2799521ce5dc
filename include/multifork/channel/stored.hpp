#pragma once

#include <multifork/channel/codec.hpp>
#include <multifork/channel/container.hpp>
#include <multifork/channel/crossing.hpp>
#include <multifork/channel/message_ring.hpp>
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
        MessageBuffer buffer;
        write_crossing(value, buffer.bytes());
        return Incoming(space, buffer.message());
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

/// What `f` makes of a value: `f(T&)` changes the copy that it gets, `f(const T&)` returns the new
/// one. \throws what f throws
template <class T, std::invocable<T&> F>
[[nodiscard]] T changed(T value, F& f) {
    if constexpr (std::is_convertible_v<std::invoke_result_t<F&, T&>, T>) {
        return static_cast<T>(std::invoke(f, value));
    } else {
        std::invoke(f, value);
        return value;
    }
}

/// Whether equal values of K have equal bytes. (-0.0 is taken care of.)
template <class K>
inline constexpr bool has_one_form = Shareable<K> &&
                                     (std::has_unique_object_representations_v<K> ||
                                      std::is_same_v<K, float> || std::is_same_v<K, double>);
template <class K>
inline constexpr bool key_fits_a_word = has_one_form<K>&& fits_a_word<K>;

template <class K>
void encode_key(const K& key, std::vector<std::byte>& bytes) {
    if constexpr (std::is_floating_point_v<K>) {
        encode(static_cast<K>(key + K{0}), bytes); // -0.0 is 0.0
    } else if constexpr (has_one_form<K>) {
        encode(key, bytes);
    } else {
        ByteWriter writer(bytes); // member by member: not what lies between them
        writer(key);
    }
}
template <class K>
[[nodiscard]] K decode_key(const Container& container, std::uint64_t word) {
    if constexpr (key_fits_a_word<K>) {
        return from_word<K>(word);
    } else if constexpr (has_one_form<K> || !Shareable<K>) {
        return decode<K>(container.bytes_at(word));
    } else {
        K key{};
        ByteReader reader(container.bytes_at(word));
        reader(key);
        return key;
    }
}

} // namespace multifork::detail

namespace multifork {

/// What can be a key: its bytes are compared, so it must be clear which bytes those are. A struct
/// with gaps between its members is taken apart; what cannot be taken apart is none.
template <class K>
concept Key = Codable<K> &&(detail::has_one_form<K> || !Shareable<K> ||
                            (std::default_initializable<K> &&
                             cereal::traits::is_output_serializable<K, ByteWriter>::value &&
                             cereal::traits::is_input_serializable<K, ByteReader>::value));

} // namespace multifork
