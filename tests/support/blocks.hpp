#pragma once

#include <multifork/arena/space.hpp>

#include <cstdint>

namespace multifork::test {

/// How many blocks of the arena are in use, when what the dead have left is swept.
[[nodiscard]] inline std::uint64_t blocks_used() {
    arena::tree_space().sweep();
    return arena::arena_usage().blocks_used;
}

} // namespace multifork::test
