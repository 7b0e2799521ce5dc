#pragma once

#include <multifork/arena/place.hpp>
#include <multifork/channel/crossing.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

/// \file
/// A span of memory in the arena crosses as its place there: the other process sees the same
/// elements, and nothing is copied.
///
/// It keeps nothing, as no span does: what it lies in (an Array or a RawArray without a name) must
/// live until the other process is done with it. A span of other memory, that of a named object too
/// (every SharedMemory is one), is refused with NotShareable.

namespace multifork::detail {

[[noreturn]] MULTIFORK_API void throw_span_elsewhere(std::size_t bytes);
[[noreturn]] MULTIFORK_API void throw_bad_span(std::uint64_t place, std::uint64_t elements);

template <class T, std::size_t Extent>
    requires Shareable<std::remove_const_t<T>>
struct Cross<std::span<T, Extent>> {
    static constexpr bool known = true;
    static constexpr bool brings_handles = true; // piece by piece, in a container too
    static void write(ByteWriter& writer, const std::span<T, Extent>& elements) {
        std::uint64_t at = 0;
        if (!elements.empty()) {
            const auto place = arena::place_of(elements.data(), elements.size_bytes());
            if (!place)
                throw_span_elsewhere(elements.size_bytes());
            at = *place;
        }
        writer(at, static_cast<std::uint64_t>(elements.size()));
    }
    static std::span<T, Extent> read(ByteReader& reader) {
        std::uint64_t at = 0;
        std::uint64_t size = 0;
        reader(at, size);
        if (at % alignof(T) != 0 || size > ~std::uint64_t{0} / sizeof(T) ||
            (Extent != std::dynamic_extent && size != Extent))
            throw_bad_span(at, size);
        T* const first =
            size == 0 ? nullptr : reinterpret_cast<T*>(arena::memory_at(at, size * sizeof(T)));
        return std::span<T, Extent>(first, size);
    }
};

} // namespace multifork::detail
