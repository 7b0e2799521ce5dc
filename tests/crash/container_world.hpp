#pragma once

#include "crash/harness/pair.hpp"
#include "crash/harness/scenario.hpp"

#include <multifork/arena/space.hpp>

#include <cstdint>
#include <string>

// A process dies while it changes a container. The change has happened or not, the others go on,
// and no block is lost or freed too early.

namespace multifork::test::crash::container_scenarios {

/// No more and no fewer blocks than there should be, when what the dead had was swept.
inline void expect_blocks(std::uint64_t expected) {
    arena::tree_space().sweep();
    const auto now = arena::arena_usage().blocks_used;
    require(now == expected, "blocks leak, or are gone: " + std::to_string(expected) +
                                 " expected, now " + std::to_string(now));
}

/// An element in the list's table.
struct Number {
    using Type = std::int64_t;
    static constexpr const char* what = "numbers";
    static Type make(int n) { return n; }
};
/// One in a block of its own.
struct Text {
    using Type = std::string;
    static constexpr const char* what = "texts";
    static Type make(int n) { return "text number " + std::to_string(100 + n); }
};

inline constexpr int mark = 90;   // what a partner adds
inline constexpr int probe = 80;  // what the check adds
inline constexpr int from_a = 70; // what the victim adds
inline constexpr int from_b = 71; // what B adds, of a pair

} // namespace multifork::test::crash::container_scenarios
