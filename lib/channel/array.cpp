#include <multifork/channel/array.hpp>
#include <multifork/error.hpp>

#include <fmt/format.h>

namespace multifork::detail {

void throw_no_element(std::size_t index, std::size_t size) {
    throw InvalidArgument(fmt::format(
        "at({}) of an array of {} elements: the last one is at size() - 1", index, size));
}

void throw_no_elements(std::size_t first, std::size_t last, std::size_t size) {
    throw InvalidArgument(fmt::format(
        "elements {} to {} of an array of {} were asked for; 0 <= first <= last <= size() will do",
        first, last, size));
}

std::size_t array_bytes(std::size_t elements, std::size_t element_bytes, std::size_t header_bytes) {
    // 2^47 bytes is all the address space that a process has.
    constexpr std::size_t most = std::size_t{1} << 47;
    if (elements > most / element_bytes)
        throw InvalidArgument(fmt::format(
            "an array of {} elements of {} bytes was asked for, which no machine has memory for; "
            "was a negative number turned into an unsigned one?",
            elements, element_bytes));
    const std::size_t bytes = header_bytes + elements * element_bytes;
    return bytes > 0 ? bytes : 1;
}

void throw_array_too_large(std::size_t size, std::size_t max_size) {
    throw InvalidArgument(
        fmt::format("resize({}) of an array that was made for at most {} elements; make it with a "
                    "larger max_size",
                    size, max_size));
}

} // namespace multifork::detail
