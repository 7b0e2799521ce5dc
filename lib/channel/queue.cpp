#include <multifork/channel/queue.hpp>
#include <multifork/error.hpp>

#include <fmt/format.h>

#include <limits>

namespace multifork {

QueueLayout QueueLayout::make(std::size_t capacity, std::size_t slot_bytes, arena::Kind kind) {
    // 2^47 bytes is all the address space that a process has.
    constexpr std::size_t most = std::size_t{1} << 47;
    if (capacity == 0)
        throw InvalidArgument(
            "a queue needs a capacity of at least 1; an unbounded one would fill the memory");
    if (capacity > most / slot_bytes)
        throw InvalidArgument(fmt::format("a queue for {} items of {} bytes was asked for, which "
                                          "no machine has memory for; was a negative "
                                          "number turned into an unsigned one?",
                                          capacity, slot_bytes));
    return {{capacity, slot_bytes}, kind};
}

} // namespace multifork
