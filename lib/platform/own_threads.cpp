#include "process/own_threads.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>

namespace multifork::detail {
namespace {

// Threads beyond these are not known, and warned of like a user's.
constinit std::array<std::atomic<int>, 256> own_threads{};

void replace(int from, int to) noexcept {
    for (std::atomic<int>& own : own_threads) {
        int expected = from;
        if (own.compare_exchange_strong(expected, to))
            return;
    }
}

} // namespace

OwnThread::OwnThread() noexcept {
    replace(0, ::gettid());
}
OwnThread::~OwnThread() {
    replace(::gettid(), 0);
}

bool is_own_thread(int tid) noexcept {
    return std::any_of(own_threads.begin(), own_threads.end(),
                       [tid](const std::atomic<int>& own) { return own.load() == tid; });
}

} // namespace multifork::detail
