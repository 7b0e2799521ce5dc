#pragma once

#include <multifork/platform/export.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace multifork::arena {

/// Where memory in the arena is, in a number that every process of the tree understands.
/// \return nothing when not all of it lies there \threads safe
[[nodiscard]] MULTIFORK_API std::optional<std::uint64_t> place_of(const void* memory,
                                                                  std::size_t bytes);
/// The memory at a place that another process has named. It is not kept: whoever named it has to.
/// \throws CorruptSharedMemory when the arena has no such memory
[[nodiscard]] MULTIFORK_API std::byte* memory_at(std::uint64_t place, std::size_t bytes);

} // namespace multifork::arena
