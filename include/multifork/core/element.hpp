#pragma once

#include <multifork/core/value_cell.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

// A T that lies in shared memory as it is, next to others of its kind, so that a span of them can
// be given to any algorithm.
//
// What one instruction stores (core::StoredAtOnce) is read and written whole. A larger T goes in
// pieces, as large as its alignment allows: another process may see it torn. All of it is relaxed,
// racy by design and never undefined behaviour.

namespace multifork::core {

namespace element {

// may_alias: the T lies there, and is read as integers.
using Byte [[gnu::may_alias]] = std::uint8_t;
using Half [[gnu::may_alias]] = std::uint16_t;
using Word [[gnu::may_alias]] = std::uint32_t;
using Wide [[gnu::may_alias]] = std::uint64_t;

template <class Piece>
void copy_out(void* to, const void* from, std::size_t bytes) noexcept {
    const auto* const pieces = static_cast<const Piece*>(from);
    for (std::size_t i = 0; i < bytes / sizeof(Piece); ++i) {
        const Piece piece = __atomic_load_n(pieces + i, __ATOMIC_RELAXED); // racy by design
        std::memcpy(static_cast<std::byte*>(to) + i * sizeof(Piece), &piece, sizeof(Piece));
    }
}
template <class Piece>
void copy_in(void* to, const void* from, std::size_t bytes) noexcept {
    auto* const pieces = static_cast<Piece*>(to);
    for (std::size_t i = 0; i < bytes / sizeof(Piece); ++i) {
        Piece piece = 0;
        std::memcpy(&piece, static_cast<const std::byte*>(from) + i * sizeof(Piece), sizeof(Piece));
        __atomic_store_n(pieces + i, piece, __ATOMIC_RELAXED); // racy by design
    }
}

} // namespace element

template <class T>
[[nodiscard]] T load_element(const T* at) noexcept {
    if constexpr (StoredAtOnce<T>) {
        static_assert(sizeof(ValueCell<T>) == sizeof(T));
        return reinterpret_cast<const ValueCell<T>*>(at)->load_racy();
    } else {
        std::array<std::byte, sizeof(T)> bytes;
        if constexpr (alignof(T) >= 8)
            element::copy_out<element::Wide>(bytes.data(), at, sizeof(T));
        else if constexpr (alignof(T) == 4)
            element::copy_out<element::Word>(bytes.data(), at, sizeof(T));
        else if constexpr (alignof(T) == 2)
            element::copy_out<element::Half>(bytes.data(), at, sizeof(T));
        else
            element::copy_out<element::Byte>(bytes.data(), at, sizeof(T));
        return std::bit_cast<T>(bytes);
    }
}

template <class T>
void store_element(T* at, const T& value) noexcept {
    if constexpr (StoredAtOnce<T>)
        reinterpret_cast<ValueCell<T>*>(at)->store_racy(value);
    else if constexpr (alignof(T) >= 8)
        element::copy_in<element::Wide>(at, &value, sizeof(T));
    else if constexpr (alignof(T) == 4)
        element::copy_in<element::Word>(at, &value, sizeof(T));
    else if constexpr (alignof(T) == 2)
        element::copy_in<element::Half>(at, &value, sizeof(T));
    else
        element::copy_in<element::Byte>(at, &value, sizeof(T));
}

} // namespace multifork::core
