#include "crash/harness/failure.hpp"

#include "support/watchdog.hpp"

#include <ctime>

#include <sched.h>

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

void stay_on_one_core() {
    static const cpu_set_t all = [] {
        cpu_set_t set;
        CPU_ZERO(&set);
        ::sched_getaffinity(0, sizeof(set), &set);
        return set;
    }();
    // Who wakes up is put where there is room.
    ::sched_setaffinity(0, sizeof(all), &all);
    short_pause();
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(static_cast<unsigned>(::sched_getcpu()), &here);
    ::sched_setaffinity(0, sizeof(here), &here);
}

} // namespace multifork::test::crash
