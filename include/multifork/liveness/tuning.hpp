#pragma once

#include <multifork/platform/export.hpp>

#include <atomic>
#include <cstdint>

namespace multifork::liveness {

/// How this process waits. Read at each wait; a change takes effect at the next one. A forked child
/// inherits its parent's.
struct Tuning {
    /// Sleep on several words at once (Linux 5.16). Off: sleep on one word and look at the others
    /// every `fallback_tick_ns`. Found out at the first sleep; MULTIFORK_NO_WAITV=1 in the
    /// environment turns it off.
    std::atomic<bool> use_waitv{true};
    /// The backstop: a sleeper looks around this often even if nobody rings. 0: never.
    std::atomic<std::int64_t> tick_ns{250'000'000};
    std::atomic<std::int64_t> fallback_tick_ns{10'000'000};
    /// How often a waiter looks at the word before it yields or sleeps. 0 on a machine with one
    /// core.
    std::atomic<std::uint32_t> spins{40};
    /// How often a waiter for a queue yields the core before it sleeps.
    std::atomic<std::uint32_t> yields{16};
};

[[nodiscard]] MULTIFORK_API Tuning& tuning() noexcept;

} // namespace multifork::liveness
