#pragma once

#include <multifork/error.hpp>
#include <multifork/memory/shareable.hpp>

#include <boost/pfr/core.hpp>
#include <cereal/cereal.hpp>
#include <cereal/types/array.hpp>
#include <cereal/types/bitset.hpp>
#include <cereal/types/chrono.hpp>
#include <cereal/types/complex.hpp>
#include <cereal/types/deque.hpp>
#include <cereal/types/list.hpp>
#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/optional.hpp>
#include <cereal/types/set.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/tuple.hpp>
#include <cereal/types/unordered_map.hpp>
#include <cereal/types/unordered_set.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/variant.hpp>
#include <cereal/types/vector.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

/// \file
/// How a T becomes bytes. One that is trivially copyable: by its own, even if it has a serialize().
/// Else by cereal, with two archives in memory. Whatever cereal knows works (strings, containers,
/// optionals, tuples, variants, smart pointers), and so does a type with a serialize() of its own;
/// a plain struct of such members needs nothing, because Boost.PFR takes it apart.

namespace multifork {

/// Appends to a byte vector.
class ByteWriter : public cereal::OutputArchive<ByteWriter, cereal::AllowEmptyClassElision> {
public:
    explicit ByteWriter(std::vector<std::byte>& bytes) : OutputArchive(this), bytes_(bytes) {}
    void saveBinary(const void* data, std::size_t size) {
        const auto* const first = static_cast<const std::byte*>(data);
        bytes_.insert(bytes_.end(), first, first + size);
    }
    /// Announces so many elements, in the bytes that follow.
    void announce(std::uint64_t elements) {
        saveBinary(&elements, sizeof elements);
        if (elements > most_without_bytes)
            needed_ = std::max(needed_, bytes_.size() + elements);
    }
    /// To be called when all is written. \throws InvalidArgument for what no reader would accept
    void finish() const {
        if (bytes_.size() < needed_)
            throw InvalidArgument("a message has more than 2^20 elements that take no bytes, and "
                                  "its reader could not tell it from garbage; send their number");
    }

    /// Every element takes a byte at least, unless it is empty: beyond this number a reader takes
    /// a length that has no bytes for garbage.
    static constexpr std::uint64_t most_without_bytes = 1u << 20;

private:
    std::vector<std::byte>& bytes_;
    std::uint64_t needed_ = 0;
};

/// Reads from bytes, which may be wrong: never beyond their end.
class ByteReader : public cereal::InputArchive<ByteReader, cereal::AllowEmptyClassElision> {
public:
    explicit ByteReader(std::span<const std::byte> bytes) : InputArchive(this), bytes_(bytes) {}
    void loadBinary(void* data, std::size_t size) {
        if (size > bytes_.size())
            throw CorruptSharedMemory(
                "a message is shorter than its contents say: both sides must be built "
                "with the same definition of the message's type");
        if (size > 0)
            std::memcpy(data, bytes_.data(), size);
        bytes_ = bytes_.subspan(size);
    }
    [[nodiscard]] std::size_t left() const noexcept { return bytes_.size(); }

private:
    std::span<const std::byte> bytes_;
};

namespace detail {

struct ProbeOut : cereal::OutputArchive<ProbeOut> {
    ProbeOut() : OutputArchive(this) {}
};
struct ProbeIn : cereal::InputArchive<ProbeIn> {
    ProbeIn() : InputArchive(this) {}
};

/// Members that name our archives, instead of being templates: the probes do not find those.
template <class T>
concept WritesItself = requires(T& value, const T& constant, ByteWriter& writer) {
    requires requires {
        constant.save(writer);
    } || requires {
        value.serialize(writer);
    };
};

/// A plain struct for which neither cereal nor the user says how it is serialised.
template <class T>
concept PlainAggregate =
    std::is_class_v<T> && std::is_aggregate_v<T> && !std::is_empty_v<T> && !WritesItself<T> &&
    !cereal::traits::is_output_serializable<T, ProbeOut>::value &&
    !cereal::traits::is_input_serializable<T, ProbeIn>::value;

/// What travels as its bytes by itself does so as a part of something else, too: a trivially
/// copyable class that nobody says more of, a number of 128 bits. (cereal's own wrappers have no
/// default.)
template <class T>
concept PlainBytes =
    Shareable<T> && std::default_initializable<T> && !std::is_arithmetic_v<T> &&
    !std::is_enum_v<T> && !std::is_array_v<T> && !std::is_empty_v<T> && !PlainAggregate<T> &&
    !WritesItself<T> && !cereal::traits::is_output_serializable<T, ProbeOut>::value &&
    !cereal::traits::is_input_serializable<T, ProbeIn>::value;

} // namespace detail

template <class T>
    requires std::is_arithmetic_v<T>
void CEREAL_SAVE_FUNCTION_NAME(ByteWriter& writer, const T& value) {
    writer.saveBinary(&value, sizeof value);
}
template <class T>
    requires std::is_arithmetic_v<T>
void CEREAL_LOAD_FUNCTION_NAME(ByteReader& reader, T& value) {
    if constexpr (std::is_same_v<T, bool>) {
        // To have any other byte in a bool is undefined behaviour.
        unsigned char byte = 0;
        reader.loadBinary(&byte, 1);
        if (byte > 1)
            throw CorruptSharedMemory("a message has a truth value that is neither true nor false");
        value = byte != 0;
    } else {
        reader.loadBinary(&value, sizeof value);
    }
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(ByteWriter& writer, const cereal::BinaryData<T>& data) {
    writer.saveBinary(data.data, static_cast<std::size_t>(data.size));
}
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(ByteReader& reader, cereal::BinaryData<T>& data) {
    reader.loadBinary(data.data, static_cast<std::size_t>(data.size));
}

template <class T>
void CEREAL_SERIALIZE_FUNCTION_NAME(ByteWriter& writer, cereal::NameValuePair<T>& pair) {
    writer(pair.value);
}
template <class T>
void CEREAL_SERIALIZE_FUNCTION_NAME(ByteReader& reader, cereal::NameValuePair<T>& pair) {
    reader(pair.value);
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(ByteWriter& writer, const cereal::SizeTag<T>& tag) {
    writer.announce(static_cast<std::uint64_t>(tag.size));
}
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(ByteReader& reader, cereal::SizeTag<T>& tag) {
    std::uint64_t size = 0;
    reader(size);
    // Garbage must not become an allocation.
    if (size > reader.left() && size > ByteWriter::most_without_bytes)
        throw CorruptSharedMemory("a message announces more elements than it has bytes");
    tag.size = static_cast<std::remove_reference_t<decltype(tag.size)>>(size);
}

// The archive comes first: that it is another one is known without a look at T. The concepts ask
// cereal about other archives, and would otherwise come back to themselves through these functions.
template <std::same_as<ByteWriter> Writer, detail::PlainAggregate T>
void CEREAL_SAVE_FUNCTION_NAME(Writer& writer, const T& aggregate) {
    boost::pfr::for_each_field(aggregate, [&](const auto& field) { writer(field); });
}
template <std::same_as<ByteReader> Reader, detail::PlainAggregate T>
void CEREAL_LOAD_FUNCTION_NAME(Reader& reader, T& aggregate) {
    boost::pfr::for_each_field(aggregate, [&](auto& field) { reader(field); });
}

template <std::same_as<ByteWriter> Writer, detail::PlainBytes T>
void CEREAL_SAVE_FUNCTION_NAME(Writer& writer, const T& value) {
    writer.saveBinary(&value, sizeof value);
}
template <std::same_as<ByteReader> Reader, detail::PlainBytes T>
void CEREAL_LOAD_FUNCTION_NAME(Reader& reader, T& value) {
    reader.loadBinary(&value, sizeof value);
}

/// A type that can travel between processes: as it is, or by the codec.
template <class T>
concept Codable = Shareable<T> ||
    (std::is_object_v<T> && !detail::is_address<T> && std::default_initializable<T> &&
     std::movable<T> && cereal::traits::is_output_serializable<T, ByteWriter>::value &&
     cereal::traits::is_input_serializable<T, ByteReader>::value);

/// Appends the bytes of `value`. \throws what its copy or its serialize() throws, InvalidArgument
/// for more than 2^20 elements that take no bytes
template <Codable T>
void encode([[maybe_unused]] const T& value, std::vector<std::byte>& bytes) {
    if constexpr (std::is_empty_v<T> && Shareable<T>) {
        bytes.push_back(std::byte{0}); // its one byte has no value
    } else if constexpr (Shareable<T>) {
        const auto* const first = reinterpret_cast<const std::byte*>(&value);
        bytes.insert(bytes.end(), first, first + sizeof value);
    } else {
        ByteWriter writer(bytes);
        writer(value);
        writer.finish();
    }
}

namespace detail {

/// What `read` returns. \throws CorruptSharedMemory for what cereal throws about bytes
template <class Read>
[[nodiscard]] auto readable(const Read& read) {
    try {
        return read();
    } catch (const cereal::Exception& error) {
        throw CorruptSharedMemory(
            std::string("a message cannot be read: ") + error.what() +
            "; both sides must be built with the same definition of its type");
    }
}

template <Codable T>
[[nodiscard]] T read_codable(ByteReader& reader) {
    if constexpr (Shareable<T>) {
        // Not into a T: a closure has no default constructor.
        alignas(T) std::array<std::byte, sizeof(T)> bytes;
        reader.loadBinary(bytes.data(), bytes.size());
        // No std::bit_cast: once anybody, std::optional for one, has asked whether a closure of a
        // function template can be assigned, g++ 12 says that it is not trivially copyable. (If
        // that comes before the first look at it here, the closure does not cross at all.)
        return *std::launder(reinterpret_cast<T*>(bytes.data()));
    } else {
        T value{};
        reader(value);
        return value;
    }
}

} // namespace detail

/// The T that encode() turned into `bytes`. \throws CorruptSharedMemory when they are none
template <Codable T>
[[nodiscard]] T decode(std::span<const std::byte> bytes) {
    return detail::readable([&] {
        ByteReader reader(bytes);
        return detail::read_codable<T>(reader);
    });
}

} // namespace multifork

CEREAL_SETUP_ARCHIVE_TRAITS(multifork::ByteReader, multifork::ByteWriter)
