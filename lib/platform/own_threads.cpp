#include "platform/own_threads.hpp"

#include "platform/system.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>

namespace multifork::platform {
namespace {

// Process << 32 | thread. The process, because a forked child inherits the words of threads that it
// has not. A thread that leaves only says so: it is still there for a moment, and known until the
// kernel knows it no more. Threads beyond these are warned of like a user's.
constinit std::array<std::atomic<std::uint64_t>, 256> own_threads{};

constexpr std::uint64_t leaving = 1u << 31; // no thread's number is that large

std::uint64_t word_of(std::uint32_t thread) noexcept {
    return std::uint64_t{process_id()} << 32 | thread;
}

bool is_free(std::uint64_t word) noexcept {
    if (word >> 32 != process_id())
        return true;
    const auto thread = static_cast<long>(word & (leaving - 1));
    return (word & leaving) != 0 && ::syscall(SYS_tgkill, ::getpid(), thread, 0) != 0 &&
           errno == ESRCH;
}

} // namespace

OwnThread::OwnThread() noexcept {
    for (std::atomic<std::uint64_t>& own : own_threads) {
        std::uint64_t before = own.load();
        if (is_free(before) && own.compare_exchange_strong(before, word_of(thread_id())))
            return;
    }
}
OwnThread::~OwnThread() {
    for (std::atomic<std::uint64_t>& own : own_threads) {
        std::uint64_t expected = word_of(thread_id());
        if (own.compare_exchange_strong(expected, expected | leaving))
            return;
    }
}

bool is_own_thread(int tid) noexcept {
    const std::uint64_t word = word_of(static_cast<std::uint32_t>(tid));
    return std::any_of(own_threads.begin(), own_threads.end(),
                       [word](const std::atomic<std::uint64_t>& own) {
                           const std::uint64_t now = own.load();
                           return (now & ~leaving) == word && !is_free(now);
                       });
}

} // namespace multifork::platform
