#include <multifork/pool/map.hpp>

#include <multifork/error.hpp>

#include <fmt/format.h>

#include <cstdint>

namespace multifork::detail {

void rethrow_for_pool(const NotShareable& error) {
    throw NotShareable(
        fmt::format("a task of a Pool cannot be sent to its workers, which are there "
                    "already and have not what the task refers to: {}",
                    error.what()));
}

std::size_t chunk_size_of(const std::optional<std::int64_t>& asked, std::size_t otherwise) {
    if (!asked)
        return otherwise;
    if (*asked < 1)
        throw InvalidArgument(fmt::format("chunk_size or look_ahead is {}; it must be at least 1, "
                                          "or left out to be chosen by the pool",
                                          *asked));
    return static_cast<std::size_t>(*asked);
}

void check_map_size(std::uint64_t items, std::size_t bytes_each) {
    // Half of all addresses: what lies beside the items has room in the other half.
    if (items > SIZE_MAX / 2 / bytes_each)
        throw OutOfSharedMemory(
            fmt::format("a map of {} items does not fit into any memory; imap() "
                        "takes them as it goes",
                        items));
}

void throw_size_changed(std::uint64_t counted) {
    throw InvalidArgument(fmt::format(
        "a range of {} items for a map had another size when they were taken; copy what "
        "others may change first, as by to_vector(), or use imap()",
        counted));
}

} // namespace multifork::detail
