#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

/// \file
/// \internal The bytes of an object without its padding: the holes between its members, in which
/// lies what was there before, maybe part of an address.

#if defined(__has_builtin)
#if __has_builtin(__builtin_clear_padding)
#define MULTIFORK_CLEAR_PADDING 1
#endif
#endif

namespace multifork::detail {

#if !defined(MULTIFORK_CLEAR_PADDING)

/// Which bytes of a T are padding, for a compiler that does not say so (clang 16): in a constant
/// expression a byte that no member has cannot be read. It knows no such holes in a T with
/// pointers, references or unions, which a constant expression cannot make out of bytes.
template <class T>
class Padding {
    using Bytes = std::array<std::byte, sizeof(T)>;

    static constexpr bool made_of_bytes() {
        return (static_cast<void>(std::bit_cast<T>(Bytes{})), true);
    }
    template <std::size_t at>
    static constexpr bool read() {
        // True, or cannot be told.
        return std::bit_cast<Bytes>(std::bit_cast<T>(Bytes{}))[at] == std::byte{};
    }
    template <std::size_t at>
    static constexpr bool is_value = requires {
        typename std::bool_constant<read<at>()>;
    };

public:
    /// Each byte is looked at by an instantiation of its own, which is too much for a large T.
    static constexpr bool known = sizeof(T) <= 512 && requires {
        typename std::bool_constant<made_of_bytes()>;
    };

    static void clear(std::byte* bytes) noexcept {
        for (std::size_t at = 0; at < sizeof(T); ++at)
            if (!values[at])
                bytes[at] = {};
    }

private:
    template <std::size_t... at>
    static constexpr std::array<bool, sizeof(T)> look_at(std::index_sequence<at...>) {
        return {is_value<at>...};
    }
    static constexpr auto values = look_at(std::make_index_sequence<sizeof(T)>{});
};

#endif

/// The bytes of a T, with zeros in place of its padding.
template <class T>
    requires std::is_trivially_copyable_v<T> && std::is_copy_constructible_v<T>
struct BytesWithoutPadding {
    explicit BytesWithoutPadding(const T& object) noexcept {
#if defined(MULTIFORK_CLEAR_PADDING)
        // Of a variable g++ clears the padding whatever the type, but of what a pointer leads to
        // only if it takes the type for trivially copyable, and g++ 12 changes its mind about
        // closures when somebody asks whether they can be assigned.
        T copy(object);
        __builtin_clear_padding(&copy);
        std::memcpy(bytes.data(), &copy, sizeof(T));
#else
        std::memcpy(bytes.data(), &object, sizeof(T));
        if constexpr (Padding<T>::known)
            Padding<T>::clear(bytes.data());
#endif
    }
    std::array<std::byte, sizeof(T)> bytes;
};

} // namespace multifork::detail
