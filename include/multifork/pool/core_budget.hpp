#pragma once

#include <multifork/platform/export.hpp>

#include <cstdint>

namespace multifork {

/// How many cores this process may keep busy: what a Pool takes that is not told how many workers.
///
/// At first that is cpu_count(). The workers of a pool share what the process has that made the
/// pool, each gets its part of it, one at least; so all pools within pools, as deep as they go,
/// keep as many cores busy as the machine has. The part belongs to the worker's seat: who takes a
/// dead worker's place has the same. Processes that a worker forks have what it has; one that it
/// spawns knows nothing of it.
///
/// \threads safe
[[nodiscard]] MULTIFORK_API int core_budget();

namespace detail {
/// The part of `cores` that the i-th of `seats` has.
[[nodiscard]] constexpr std::uint32_t part_of(std::uint32_t cores, std::uint32_t seats,
                                              std::uint32_t i) noexcept {
    const std::uint32_t part = cores / seats + (i < cores % seats ? 1 : 0);
    return part == 0 ? 1 : part;
}
/// The calling process is a worker, with that many.
MULTIFORK_API void set_core_budget(std::uint32_t cores) noexcept;
} // namespace detail

} // namespace multifork
