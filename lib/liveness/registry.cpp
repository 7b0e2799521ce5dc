#include "liveness/registry.hpp"

#include "platform/futex.hpp"

#include <multifork/liveness/domain.hpp>
#include <multifork/platform/mutant.hpp>

namespace multifork::liveness {

const Beacon* beacon_of(const Domain& domain, ThreadWord name) noexcept {
    const std::uint32_t slot = slot_of(name);
    return slot < domain.capacity() ? &domain.registry().beacons()[slot] : nullptr;
}

bool is_alive(const Domain& domain, ThreadWord name) noexcept {
    const Beacon* beacon = beacon_of(domain, name);
    if (beacon == nullptr)
        return false;
    // acquire: pairs with the release of the word in attach(), so that the generation read next is
    // at least that of the thread whose word this is. A younger generation means that `name` is
    // dead.
    const std::uint32_t word = beacon->node.word.load(std::memory_order_acquire);
    return word_is_alive(word) &&
           beacon->generation.load(std::memory_order_acquire) == generation_of(name);
}

std::uint32_t pid_of(const Domain& domain, ThreadWord name) noexcept {
    const Beacon* beacon = beacon_of(domain, name);
    if (beacon == nullptr)
        return 0;
    const std::uint32_t pid =
        beacon->pid.load(std::memory_order_relaxed); // checked by is_alive below
    return is_alive(domain, name) ? pid : 0;
}

void relay(Registry& registry) noexcept {
    if (MULTIFORK_MUTANT(no_relay))
        return;
    registry.relay.fetch_add(
        1); // seq_cst: a sleeper that has not armed yet finds the epoch changed
    platform::futex_wake(registry.relay, platform::wake_everybody);
}

} // namespace multifork::liveness
