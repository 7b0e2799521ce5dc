#include "liveness/registry.hpp"

#include "platform/futex.hpp"
#include "platform/system.hpp"

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

void look_again(Domain& domain, Beacon& beacon, std::uint32_t seen) noexcept {
    if (!word_is_alive(seen))
        return;
    // relaxed: stored before the word was, which was read with acquire
    const std::uint32_t pid = beacon.pid.load(std::memory_order_relaxed);
    const std::uint64_t where = beacon.pid_namespace.load(std::memory_order_relaxed);
    // In another namespace the numbers mean other threads, or none.
    if (where == 0 || where != platform::pid_namespace())
        return;
    if (platform::thread_exists(pid, seen & platform::futex_tid_mask))
        return;
    // The kernel walks a thread's list before it forgets the thread: if it meant to mark this word,
    // it has, and the exchange fails.
    if (!beacon.node.word.compare_exchange_strong(seen, platform::futex_owner_died |
                                                            platform::futex_waiters))
        return;
    platform::futex_wake(beacon.node.word, platform::wake_everybody);
    relay(domain.registry());
}

void relay(Registry& registry) noexcept {
    if (MULTIFORK_MUTANT(no_relay))
        return;
    registry.relay.fetch_add(
        1); // seq_cst: a sleeper that has not armed yet finds the epoch changed
    platform::futex_wake(registry.relay, platform::wake_everybody);
}

} // namespace multifork::liveness
