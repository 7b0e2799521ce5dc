#pragma once

#include <multifork/channel/codec.hpp>
#include <multifork/channel/container.hpp>
#include <multifork/channel/stored.hpp>
#include <multifork/memory/shareable.hpp>

#include <boost/pfr/core.hpp>
#include <cereal/cereal.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

/// \file
/// How the keys of a Dict become bytes, of which it is known that equal keys have equal ones.

namespace multifork::detail {

/// Whether equal values of K have equal bytes. (-0.0 is taken care of.)
template <class K>
inline constexpr bool has_one_form = Shareable<K> &&
                                     (std::has_unique_object_representations_v<K> ||
                                      std::is_same_v<K, float> || std::is_same_v<K, double>);
template <class K>
inline constexpr bool key_fits_a_word = has_one_form<K>&& fits_a_word<K>;

/// A namespace of its own: what asks whether the probes of the codec can write a type must not find
/// functions that ask the same.
namespace keys {

/// A ByteWriter for keys: a ByteReader reads what it writes. In all parts -0.0 becomes 0.0, and
/// what might have gaps is not taken as a whole: to this archive it is no type that it knows.
class KeyWriter : public cereal::OutputArchive<KeyWriter, cereal::AllowEmptyClassElision> {
public:
    explicit KeyWriter(std::vector<std::byte>& bytes) : OutputArchive(this), bytes_(bytes) {}
    void saveBinary(const void* data, std::size_t size) {
        const auto* const first = static_cast<const std::byte*>(data);
        bytes_.insert(bytes_.end(), first, first + size);
    }
    [[nodiscard]] std::vector<std::byte>& bytes() noexcept { return bytes_; }

private:
    std::vector<std::byte>& bytes_;
};

/// Not a `long double`: some of its bytes do not count.
template <class T>
concept KeyNumber = std::is_arithmetic_v<T> && !std::is_same_v<T, long double>;

template <KeyNumber T>
void CEREAL_SAVE_FUNCTION_NAME(KeyWriter& key, T value) {
    if constexpr (std::is_floating_point_v<T>)
        value = static_cast<T>(value + T{0}); // -0.0 is 0.0
    key.saveBinary(&value, sizeof value);
}

/// Not of floating-point numbers: a vector of these is written one by one.
template <class T>
    requires(!std::is_floating_point_v<std::remove_pointer_t<T>>)
void CEREAL_SAVE_FUNCTION_NAME(KeyWriter& key, const cereal::BinaryData<T>& data) {
    key.saveBinary(data.data, static_cast<std::size_t>(data.size));
}
template <class T>
void CEREAL_SERIALIZE_FUNCTION_NAME(KeyWriter& key, cereal::NameValuePair<T>& pair) {
    key(pair.value);
}
template <class T>
void CEREAL_SAVE_FUNCTION_NAME(KeyWriter& key, const cereal::SizeTag<T>& tag) {
    key(static_cast<std::uint64_t>(tag.size));
}

template <PlainAggregate T>
void CEREAL_SAVE_FUNCTION_NAME(KeyWriter& key, const T& aggregate) {
    boost::pfr::for_each_field(aggregate, [&](const auto& field) { key(field); });
}
template <PlainBytes T>
    requires std::has_unique_object_representations_v<T>
void CEREAL_SAVE_FUNCTION_NAME(KeyWriter& key, const T& value) {
    key.saveBinary(&value, sizeof value);
}
/// One whose members name our archive: it says itself what counts.
template <WritesItself T>
    requires(!cereal::traits::is_output_serializable<T, ProbeOut>::value)
void CEREAL_SAVE_FUNCTION_NAME(KeyWriter& key, const T& value) {
    ByteWriter writer(key.bytes());
    writer(value);
}

} // namespace keys
} // namespace multifork::detail

namespace multifork {

/// What can be a key: its bytes are compared, so it must be clear which bytes those are. A struct
/// with gaps between its members is taken apart; what cannot be taken apart is none, unless it has
/// a serialize(). Nor is a `long double`.
template <class K>
concept Key = Codable<K> &&
    (detail::has_one_form<K> ||
     (cereal::traits::is_output_serializable<K, detail::keys::KeyWriter>::value &&
      (!Shareable<K> || (std::default_initializable<K> &&
                         cereal::traits::is_input_serializable<K, ByteReader>::value))));

} // namespace multifork

namespace multifork::detail {

template <Key K>
void encode_key(const K& key, std::vector<std::byte>& bytes) {
    if constexpr (has_one_form<K> && !std::is_floating_point_v<K>) {
        encode(key, bytes);
    } else {
        keys::KeyWriter writer(bytes); // member by member: not what lies between them
        writer(key);
    }
}
template <Key K>
[[nodiscard]] K decode_key(const Container& container, std::uint64_t word) {
    if constexpr (key_fits_a_word<K>) {
        return from_word<K>(word);
    } else if constexpr (has_one_form<K> || !Shareable<K>) {
        return decode<K>(container.bytes_at(word));
    } else {
        return readable([&] {
            K key{};
            ByteReader reader(container.bytes_at(word));
            reader(key);
            return key;
        });
    }
}

} // namespace multifork::detail
