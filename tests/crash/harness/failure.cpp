#include "crash/harness/failure.hpp"

#include "support/watchdog.hpp"

#include <ctime>

namespace multifork::test::crash {

std::int64_t now_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::int64_t hang_limit_ns() {
    static const std::int64_t limit = std::int64_t{3'000'000'000} * slowdown();
    return limit;
}

void short_pause() {
    const timespec pause{0, 20'000};
    ::nanosleep(&pause, nullptr);
}

} // namespace multifork::test::crash
