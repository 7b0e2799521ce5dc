#include "liveness/sleep.hpp"

#include <multifork/liveness/tuning.hpp>
#include <multifork/platform/mutant.hpp>

#include <algorithm>
#include <cstdlib>
#include <thread>

namespace multifork::liveness {

namespace {

constinit Tuning the_tuning;

// When the program is loaded, not at the first wait: a fork in the middle would leave the child
// waiting for it.
[[gnu::constructor]] void adjust_tuning() noexcept {
    if (const char* off = std::getenv("MULTIFORK_NO_WAITV"); off != nullptr && *off == '1')
        the_tuning.use_waitv = false;
    if (std::thread::hardware_concurrency() == 1)
        the_tuning.spins = 0;
}

} // namespace

Tuning& tuning() noexcept {
    return the_tuning;
}

Sleep::Sleep(Domain& domain) noexcept
    : domain_(domain), epoch_(domain.registry().relay.load()) {
} // seq_cst: before any look at the state

void Sleep::add(const std::atomic<std::uint32_t>& word, std::uint32_t value) noexcept {
    if (!full())
        words_[count_++] = {&word, value};
}

void Sleep::name_bell() noexcept {
    if (first_of_death_ != no_words)
        return;
    first_of_death_ = count_;
    if (!MULTIFORK_MUTANT(bell_in_front))
        words_[count_++] = {&domain_.registry().bell.node.word, 0}; // add() has left it a place
}

void Sleep::while_equal(const std::atomic<std::uint32_t>& word, std::uint32_t value) noexcept {
    add(word, value);
    if (count_ > 1)
        return;
    if (MULTIFORK_MUTANT(bell_in_front))
        add(domain_.registry().bell.node.word, 0);
    add(domain_.registry().relay, epoch_);
}

bool Sleep::while_alive(ThreadWord name) noexcept {
    const Beacon* beacon = beacon_of(domain_, name);
    if (beacon == nullptr)
        return false;
    const std::uint32_t word =
        beacon->node.word.load(std::memory_order_acquire); // as in is_alive()
    if (!is_alive(domain_, name))
        return false;
    name_bell();
    add(beacon->node.word, word);
    return true;
}

bool Sleep::still_equal() const noexcept {
    return std::all_of(words_.begin(), words_.begin() + static_cast<std::ptrdiff_t>(count_),
                       [](const platform::FutexWord& w) { return w.word->load() == w.value; });
}

platform::FutexResult Sleep::arm(std::int64_t until_ns) noexcept {
    using Why = platform::FutexResult::Why;
    if (tuning().use_waitv.load(std::memory_order_relaxed)) {
        const auto result = platform::futex_wait_any({words_.data(), count_}, until_ns);
        if (result.why != Why::unsupported)
            return result;
        tuning().use_waitv = false; // an old kernel: this is found out once
    }
    if (!still_equal())
        return {Why::changed, 0};
    const std::int64_t tick = tuning().fallback_tick_ns.load(std::memory_order_relaxed);
    const std::int64_t now = platform::monotonic_ns();
    const std::int64_t step = until_ns - now > tick ? now + tick : until_ns;
    return platform::futex_wait(words_[0], step);
}

void Sleep::look_again_at_beacons() noexcept {
    Beacon* const first = domain_.registry().beacons();
    for (std::size_t i = first_of_death_ + 1; i < count_; ++i) {
        const auto* const word = reinterpret_cast<const std::byte*>(words_[i].word);
        const auto distance = word - reinterpret_cast<const std::byte*>(first);
        look_again(domain_, first[static_cast<std::size_t>(distance) / sizeof(Beacon)],
                   words_[i].value);
    }
}

Sleep::Result Sleep::wait(platform::Deadline deadline) noexcept {
    using Why = platform::FutexResult::Why;
    std::int64_t until = deadline.ns();
    if (const std::int64_t tick = tuning().tick_ns.load(std::memory_order_relaxed); tick > 0)
        until = std::min(until, platform::monotonic_ns() + tick);

    name_bell();
    const auto result = arm(until);
    // Only one sleeper hears the bell, and only one hears a beacon: it tells the others. Nobody
    // relays a relayed wake-up, so this cannot run away.
    const bool of_a_death =
        result.index >= first_of_death_ || (MULTIFORK_MUTANT(bell_in_front) && result.index == 1);
    if (result.why == Why::woken && of_a_death)
        relay(domain_.registry());
    const bool slept = result.why != Why::changed;
    const bool timed_out = result.why == Why::timed_out;
    if (timed_out)
        look_again_at_beacons();
    return {slept, timed_out && deadline.passed()};
}

} // namespace multifork::liveness
