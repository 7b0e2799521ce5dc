#pragma once

#include <multifork/error.hpp>
#include <multifork/pool/task.hpp>
#include <multifork/process/target.hpp>

#include <array>
#include <cstddef>
#include <cstring>
#include <new>
#include <optional>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

/// \file
/// \internal A call of a function, or of a closure of plain values, with plain values: their bytes
/// lie one behind the other, at places that the compiler knows. An archive would cost more than all
/// the rest of a small task.

namespace multifork::detail {

/// How a T lies among those bytes, if it can.
template <class T>
struct Flat {
    static constexpr bool known = Shareable<T> && !Cross<T>::brings_handles;
    static constexpr std::size_t bytes = std::is_empty_v<T> ? 0 : sizeof(T);

    /// \throws NotShareable
    [[nodiscard]] static bool write(std::byte* to, const T& value) {
        if constexpr (!std::is_empty_v<T>) {
            if constexpr (std::is_class_v<T>)
                refuse_addresses(value);
            std::memcpy(to, &value, bytes);
        }
        return true;
    }
    [[nodiscard]] static T read(const std::byte* from) {
        alignas(T) std::array<std::byte, sizeof(T)> copy{}; // as in read_codable()
        std::memcpy(copy.data(), from, bytes);
        return *std::launder(reinterpret_cast<T*>(copy.data()));
    }
};

template <class F>
struct FlatFunction {
    static constexpr bool known = true;
    static constexpr std::size_t bytes = sizeof(ProgramFunction);

    /// \return false for a function of a library, whose name may be of any length
    [[nodiscard]] static bool write(std::byte* to, F function) {
        const auto place = find_in_program(reinterpret_cast<AnyFunction>(function));
        if (place)
            std::memcpy(to, &*place, bytes);
        return place.has_value();
    }
    [[nodiscard]] static F read(const std::byte* from) {
        ProgramFunction place;
        std::memcpy(&place, from, bytes);
        return reinterpret_cast<F>(function_of_program(place));
    }
};
// clang-format off
template <class R, class... A> struct Flat<R (*)(A...)> : FlatFunction<R (*)(A...)> {};
template <class R, class... A> struct Flat<R (*)(A...) noexcept> : FlatFunction<R (*)(A...) noexcept> {};
// clang-format on

template <class... Ts>
inline constexpr std::size_t flat_bytes = (Flat<Ts>::bytes + ... + 0);
template <class... Ts>
inline constexpr bool
    is_flat = (Flat<Ts>::known && ...) && flat_bytes<Ts...> <= core::inline_task_bytes;

/// \return false when one of them does not lie flat after all: then nothing is there
template <class... Ts>
[[nodiscard]] bool write_flat(std::byte* to, const Ts&... values) {
    return ((Flat<Ts>::write(std::exchange(to, to + Flat<Ts>::bytes), values)) && ...);
}

/// \throws CorruptSharedMemory
template <class... Ts>
[[nodiscard]] std::tuple<Ts...> read_flat(std::span<const std::byte> bytes) {
    if (bytes.size() < flat_bytes<Ts...>)
        throw CorruptSharedMemory("a task in a pool's table is shorter than its arguments: its "
                                  "memory was overwritten; look for a task that writes where it "
                                  "should not");
    const std::byte* from = bytes.data();
    // Braces: in this order.
    return {Flat<Ts>::read(std::exchange(from, from + Flat<Ts>::bytes))...};
}

} // namespace multifork::detail
