#include <multifork/channel/span.hpp>

#include <multifork/error.hpp>

#include <fmt/format.h>

namespace multifork::detail {

void throw_span_elsewhere(std::size_t bytes) {
    throw NotShareable(fmt::format(
        "a span of {} bytes cannot cross into another process: it does not lie in the arena, so "
        "that the other has no such memory; take a span of an Array without a name, or give the "
        "Array itself, or a std::vector, which is copied",
        bytes));
}

void throw_bad_span(std::uint64_t place, std::uint64_t elements) {
    throw CorruptSharedMemory(fmt::format(
        "a span of {} elements at {:#x} came from another process, which cannot be; both sides "
        "must be built with the same definition of its type",
        elements, place));
}

} // namespace multifork::detail
