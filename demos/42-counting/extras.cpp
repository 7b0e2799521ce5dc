#include "extras.hpp"

#include "toolkit/stopwatch.hpp"
#include "toolkit/text.hpp"

#include <multifork/channel/queue.hpp>
#include <multifork/process/process.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace mp = multifork;
using namespace std::chrono_literals;

namespace {

/// A text whose every part is another one.
std::string big_text(std::size_t bytes) {
    std::string text;
    text.reserve(bytes + 8);
    for (std::size_t i = 0; text.size() < bytes; ++i)
        text += fmt::format("{} ", i);
    return text;
}

template <class F>
std::int64_t median_ns(int times, const F& once) {
    std::vector<double> took;
    for (int i = 0; i < times; ++i) {
        const demo::Stopwatch time;
        once();
        took.push_back(time.seconds());
    }
    const auto middle = took.begin() + times / 2;
    std::nth_element(took.begin(), middle, took.end());
    return static_cast<std::int64_t>(*middle * 1e9);
}

} // namespace

void check_join_before_get(demo::Claims& claims, bool brief) {
    const std::string big = big_text((brief ? 4U : 32U) << 20U);
    mp::Queue<std::string> queue{1};
    mp::Process sender{{.daemon = true}, [&] { queue.put(big); }};
    sender.start();
    // Python's queue has a thread in the child that feeds a pipe: this join() would never return.
    const bool joined = sender.try_join_for(60s);
    claims.check(joined && queue.try_get() == big,
                 "A child with a big item can be joined before the item is taken",
                 fmt::format("{} MiB", big.size() >> 20U));

    mp::Process waiting{{.daemon = true}, [&] {
                            queue.put("fills the queue");
                            queue.put("waits for room");
                        }};
    waiting.start();
    const bool too_early = waiting.try_join_for(200ms);
    const std::string first = queue.get();
    claims.check(!too_early && waiting.try_join_for(60s) && queue.get() == "waits for room",
                 "But one that waits for room in a full queue cannot, until somebody gets");
}

void check_costs(demo::Claims& claims, int of_each) {
    const auto thread = median_ns(of_each, [] { std::thread([] {}).join(); });
    const auto process = median_ns(of_each, [] {
        mp::Process child;
        child.start();
        child.join();
    });
    claims.check(thread < process, "To make and join a thread is cheaper than a process",
                 fmt::format("{} and {}, the median of {} each", demo::duration_text(thread),
                             demo::duration_text(process), of_each));
}
