#pragma once

#include <multifork/liveness/tuning.hpp>

namespace multifork::test {

/// A fixture: no tick wakes a sleeper, so that a lost wake-up stays lost.
struct NoBackstop {
    NoBackstop() { liveness::tuning().tick_ns = 0; }
    ~NoBackstop() { liveness::tuning().tick_ns = 250'000'000; }
    NoBackstop(const NoBackstop&) = delete;
    NoBackstop& operator=(const NoBackstop&) = delete;
};

} // namespace multifork::test
