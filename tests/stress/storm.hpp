#pragma once

#include "support/blocks.hpp"

#include <boost/test/unit_test.hpp>

#include <random>

namespace multifork::test {

/// Runs `rage(seed)` with a seed that a failure tells; all memory must be back afterwards.
template <class Rage>
void storm(Rage rage) {
    const unsigned seed = std::random_device{}();
    BOOST_TEST_CONTEXT("seed " << seed) {
        const auto before = arena::arena_usage().blocks_used;
        rage(seed);
        BOOST_TEST(blocks_used() == before, "blocks leak");
    }
}

} // namespace multifork::test
