#pragma once

#include <multifork/platform/clock.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

namespace multifork::platform {

/// One word of a wait: sleep only while *word still holds value.
struct FutexWord {
    const std::atomic<std::uint32_t>* word = nullptr;
    std::uint32_t value = 0;
};

inline constexpr int wake_everybody = std::numeric_limits<int>::max();

/// The kernel's limit of words in one FUTEX_WAITV.
inline constexpr std::size_t max_futex_words = 128;

/// What ended a futex sleep. A spurious return counts as woken: callers look at their state again.
struct FutexResult {
    enum class Why : std::uint8_t { woken, changed, timed_out, interrupted, unsupported };
    Why why = Why::woken;
    std::size_t index = 0; ///< of the word that was woken; only when why == woken
};

/// FUTEX_WAKE on a word that other processes may sleep on; never fails on a mapped word.
/// \return how many were woken
int futex_wake(const std::atomic<std::uint32_t>& word, int count) noexcept;

/// FUTEX_WAIT until `until_ns` (monotonic, absolute).
[[nodiscard]] FutexResult futex_wait(FutexWord word, std::int64_t until_ns) noexcept;

/// FUTEX_WAITV (Linux 5.16) until `until_ns`; `unsupported` where the kernel has none.
[[nodiscard]] FutexResult futex_wait_any(std::span<const FutexWord> words,
                                         std::int64_t until_ns) noexcept;

/// The low half of a 64-bit word, which is what a futex can look at.
[[nodiscard]] inline const std::atomic<std::uint32_t>&
low_half(const std::atomic<std::uint64_t>& word) noexcept {
    static_assert(sizeof(std::atomic<std::uint64_t>) == 8 &&
                  sizeof(std::atomic<std::uint32_t>) == 4);
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
                  "on a big-endian machine the low half lies 4 bytes further on");
    return reinterpret_cast<const std::atomic<std::uint32_t>&>(word);
}

} // namespace multifork::platform
