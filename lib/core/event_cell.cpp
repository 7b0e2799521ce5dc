#include "liveness/sleep.hpp"
#include "platform/futex.hpp"
#include "platform/spin.hpp"

#include <multifork/core/event_cell.hpp>
#include <multifork/liveness/tuning.hpp>
#include <multifork/platform/mutant.hpp>

namespace multifork::core {

void event_set(EventCell& cell, liveness::Domain& domain) {
    static_cast<void>(liveness::enter(domain)); // the bell, for the wake-ups that are owed below
    std::uint64_t seen = cell.word.load();
    do {
        if ((seen & event_set_bit) != 0)
            return;
    } while (!cell.word.compare_exchange_weak(
        seen, ((seen + event_count_unit) & ~event_sleepers_bit) | event_set_bit)); // COMMIT
    if ((seen & event_sleepers_bit) != 0)
        platform::futex_wake(platform::low_half(cell.word),
                             MULTIFORK_MUTANT(wake_one_only) ? 1 : platform::wake_everybody);
}

void event_clear(EventCell& cell) noexcept {
    cell.word.fetch_and(~event_set_bit); // COMMIT
}

bool event_wait(EventCell& cell, liveness::Domain& domain, platform::Deadline deadline) {
    const std::uint64_t begin = cell.word.load();
    const auto happened = [begin](std::uint64_t word) {
        return (word & event_set_bit) != 0 || word / event_count_unit != begin / event_count_unit;
    };
    if (happened(begin))
        return true;
    if (deadline.is_poll())
        return false;
    const std::uint32_t spins = liveness::tuning().spins.load(std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < spins; ++i) {
        if (happened(cell.word.load()))
            return true;
        platform::spin_pause();
    }
    static_cast<void>(liveness::enter(domain)); // who dies asleep may have swallowed a relay
    for (;;) {
        liveness::Sleep sleep(domain);
        std::uint64_t seen = cell.word.load();
        if (happened(seen))
            return true;
        if ((seen & event_sleepers_bit) == 0) {
            if (!cell.word.compare_exchange_strong(seen, seen | event_sleepers_bit))
                continue;
            seen |= event_sleepers_bit;
        }
        sleep.while_equal(cell.word, seen);
        if (sleep.wait(deadline).timed_out)
            return happened(cell.word.load());
    }
}

} // namespace multifork::core
