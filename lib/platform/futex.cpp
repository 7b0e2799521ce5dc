#include "platform/futex.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

namespace multifork::platform {
namespace {

// The syscall numbers and the struct are spelled out because Debian 12's headers may be older than
// the kernel that runs the program. One number serves every architecture since Linux 5.11.
constexpr long sys_futex_waitv = 449;
constexpr std::uint32_t futex_size_32 = 2;

struct WaitvEntry {
    std::uint64_t value;
    std::uint64_t address;
    std::uint32_t flags;
    std::uint32_t reserved;
};
static_assert(sizeof(WaitvEntry) == 24, "struct futex_waitv is an ABI");

timespec to_timespec(std::int64_t ns) noexcept {
    constexpr std::int64_t second = 1'000'000'000;
    return {static_cast<std::time_t>(ns / second), static_cast<long>(ns % second)};
}

FutexResult from_errno(int error) noexcept {
    using Why = FutexResult::Why;
    switch (error) {
    case EAGAIN:
        return {Why::changed, 0};
    case ETIMEDOUT:
        return {Why::timed_out, 0};
    case EINTR:
        return {Why::interrupted, 0};
    case ENOSYS:
    case EPERM: // so says a filter (seccomp) that is older than the call
        return {Why::unsupported, 0};
    default:
        return {Why::changed, 0}; // e.g. ENOMEM: look at the state again, then come back
    }
}

} // namespace

int futex_wake(const std::atomic<std::uint32_t>& word, int count) noexcept {
    const long woken = ::syscall(SYS_futex, &word, FUTEX_WAKE, count, nullptr, nullptr, 0);
    return woken < 0 ? 0 : static_cast<int>(woken);
}

FutexResult futex_wait(FutexWord word, std::int64_t until_ns) noexcept {
    const bool for_ever = until_ns == std::numeric_limits<std::int64_t>::max();
    const timespec until = to_timespec(until_ns);
    // FUTEX_WAIT_BITSET, unlike FUTEX_WAIT, takes an absolute time, on the monotonic clock.
    const long r = ::syscall(SYS_futex, word.word, FUTEX_WAIT_BITSET, word.value,
                             for_ever ? nullptr : &until, nullptr, FUTEX_BITSET_MATCH_ANY);
    return r == 0 ? FutexResult{} : from_errno(errno);
}

FutexResult futex_wait_any(std::span<const FutexWord> words, std::int64_t until_ns) noexcept {
    std::array<WaitvEntry, max_futex_words> entries;
    const std::size_t n = words.size() < max_futex_words ? words.size() : max_futex_words;
    for (std::size_t i = 0; i < n; ++i)
        entries[i] = {words[i].value, reinterpret_cast<std::uintptr_t>(words[i].word),
                      futex_size_32, 0};
    const bool for_ever = until_ns == std::numeric_limits<std::int64_t>::max();
    const timespec until = to_timespec(until_ns);
    const long r = ::syscall(sys_futex_waitv, entries.data(), n, 0, for_ever ? nullptr : &until,
                             CLOCK_MONOTONIC);
    if (r < 0)
        return from_errno(errno);
    return {FutexResult::Why::woken, static_cast<std::size_t>(r)};
}

} // namespace multifork::platform
