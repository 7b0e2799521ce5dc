#pragma once

#include "liveness/registry.hpp"
#include "platform/futex.hpp"

#include <multifork/liveness/domain.hpp>
#include <multifork/platform/clock.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace multifork::liveness {

/// The one way to sleep.
///
/// A sleeper wakes when somebody wakes it, when any of the words that it named has changed, when a
/// thread that it depends on has died, or when its time is up. It then looks at the state again:
/// being woken promises nothing.
///
/// The order of use is the protocol, and each step guards the next:
///   1. make the Sleep: it notes the relay epoch;
///   2. look at the state, and decide that there is nothing to do but wait;
///   3. name the words with the values just seen;
///   4. wait().
/// Whatever happens between 2 and 4 changes a named word or the epoch, so that 4 returns at once.
///
/// Plain words are named before the threads; one named later is taken for the word of a death when
/// somebody wakes it, which costs a needless look of all sleepers.
///
/// Where the kernel has FUTEX_WAITV all words are slept on together. Otherwise the first one is,
/// and the others are looked at on a tick.
class Sleep {
public:
    explicit Sleep(Domain& domain) noexcept;

    /// Sleeps only while `word` holds `value`. The first word named is the one that wakers wake.
    void while_equal(const std::atomic<std::uint32_t>& word, std::uint32_t value) noexcept;
    /// The same for the lower half of a 64-bit word.
    void while_equal(const std::atomic<std::uint64_t>& word, std::uint64_t value) noexcept {
        while_equal(platform::low_half(word), static_cast<std::uint32_t>(value));
    }
    /// Wakes when the thread of that name dies. \return false when it is dead already: do not sleep
    [[nodiscard]] bool while_alive(ThreadWord name) noexcept;

    /// No word more can be named: what is not named has to be looked at on a tick.
    [[nodiscard]] bool full() const noexcept {
        return count_ + (first_of_death_ == no_words ? 1 : 0) == words_.size(); // 1: the bell
    }

    struct Result {
        bool slept;     ///< the words were armed: a wake-up may have been spent on this sleeper
        bool timed_out; ///< the deadline has passed
    };
    Result wait(platform::Deadline deadline) noexcept;

private:
    void add(const std::atomic<std::uint32_t>& word, std::uint32_t value) noexcept;
    void name_bell() noexcept;
    void look_again_at_beacons() noexcept;
    [[nodiscard]] bool still_equal() const noexcept;
    platform::FutexResult arm(std::int64_t until_ns) noexcept;

    static constexpr std::size_t no_words = platform::max_futex_words;

    // The main word, the relay, the other plain words, then the bell, then the beacons: if several
    // are woken at once the kernel names the last, and a death must not be hidden behind a plain or
    // a relayed wake-up.
    Domain& domain_;
    std::uint32_t epoch_;
    std::size_t count_ = 0;
    std::size_t first_of_death_ = no_words; // the bell; from there on who is woken tells the others
    std::array<platform::FutexWord, platform::max_futex_words> words_;
};

} // namespace multifork::liveness
