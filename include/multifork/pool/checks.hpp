#pragma once

#include <multifork/channel/crossing.hpp>
#include <multifork/platform/export.hpp>
#include <multifork/pool/future.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

/// \file
/// \internal What may cross into a worker and back, and what to do instead.

namespace multifork::detail {

template <class F>
constexpr void check_crosses() {
    static_assert(Crossable<F>,
                  "what a Pool runs must cross into its workers: a function, or a closure that "
                  "captures nothing, or plain values; give the rest as arguments, or bind it with "
                  "multifork::bind_front(), which can carry strings, containers and handles");
}
template <class T>
constexpr void check_argument_crosses() {
    static_assert(Crossable<T>,
                  "an argument of what a Pool runs must cross into its workers: it must be "
                  "trivially copyable without addresses, known to the codec (std::string, "
                  "containers, structs of these, a serialize()), a handle on a shared object, a "
                  "const char* (whose text crosses), or a std::span<const T> of what lies in the "
                  "arena");
}
template <class R>
constexpr void check_result_crosses() {
    static_assert(std::is_void_v<R> || Crossable<Stored<R>>,
                  "the result of what a Pool runs must cross back: it must be trivially copyable "
                  "without addresses, known to the codec, or a handle on a shared object; it "
                  "cannot be a pointer");
}

/// \throws NotShareable, which speaks of workers
[[noreturn]] MULTIFORK_API void rethrow_for_pool(const NotShareable& error);

/// What a result is on its way: void is nothing. An archive costs more than a number is worth.
template <class R>
void write_result(std::vector<std::byte>& bytes, const R& result) {
    if constexpr (Shareable<R>) {
        const auto* const first = reinterpret_cast<const std::byte*>(&result);
        bytes.insert(bytes.end(), first, first + sizeof result);
    } else {
        ByteWriter writer(bytes);
        Cross<R>::write(writer, result);
    }
}
template <class R>
[[nodiscard]] R read_result(std::span<const std::byte> bytes) {
    if constexpr (Shareable<R>) {
        alignas(R) std::array<std::byte, sizeof(R)> copy;
        if (bytes.size() < sizeof(R))
            throw CorruptSharedMemory("a result is shorter than its type: its memory was "
                                      "overwritten; look for a task that writes where it should "
                                      "not");
        std::memcpy(copy.data(), bytes.data(), sizeof(R));
        return std::bit_cast<R>(copy);
    } else {
        ByteReader reader(bytes);
        return Cross<R>::read(reader);
    }
}

} // namespace multifork::detail
