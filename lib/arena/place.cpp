#include <multifork/arena/place.hpp>

#include "arena/space_impl.hpp"

#include <multifork/arena/space.hpp>
#include <multifork/error.hpp>

#include <fmt/format.h>

namespace multifork::arena {
namespace {

/// Offsets between which blocks lie.
struct Bounds {
    std::uint64_t begin;
    std::uint64_t end;
};
Bounds blocks_of(Space& space) {
    const Heap& heap = space.impl().heap;
    return {heap.first_block(), heap.end_of_blocks()};
}

bool within(const Bounds& bounds, std::uint64_t place, std::size_t bytes) {
    return place >= bounds.begin && place <= bounds.end && bytes <= bounds.end - place;
}

} // namespace

std::optional<std::uint64_t> place_of(const void* memory, std::size_t bytes) {
    Space& space = tree_space();
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    const auto base = reinterpret_cast<std::uintptr_t>(space.at(0));
    if (address < base || !within(blocks_of(space), address - base, bytes))
        return std::nullopt;
    return address - base;
}

std::byte* memory_at(std::uint64_t place, std::size_t bytes) {
    Space& space = tree_space();
    if (!within(blocks_of(space), place, bytes))
        throw CorruptSharedMemory(fmt::format(
            "a span of {} bytes at {:#x} came from another process, and the arena has no such "
            "memory: it was overwritten; look for a process that writes where it should not",
            bytes, place));
    return space.at(place);
}

} // namespace multifork::arena
