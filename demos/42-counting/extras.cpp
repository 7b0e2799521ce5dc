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
#include <limits>
#include <string>
#include <thread>

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
std::int64_t duration_ns(const F& of) {
    const demo::Stopwatch time;
    of();
    return static_cast<std::int64_t>(time.seconds() * 1e9);
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
    // In turns, and the quickest of each: whatever else the machine does makes both slower.
    std::int64_t thread = std::numeric_limits<std::int64_t>::max();
    std::int64_t process = thread;
    for (int i = 0; i < of_each; ++i) {
        thread = std::min(thread, duration_ns([] { std::thread([] {}).join(); }));
        process = std::min(process, duration_ns([] {
                               mp::Process child;
                               child.start();
                               child.join();
                           }));
    }
    claims.check(thread < process, "To make and join a thread is cheaper than a process",
                 fmt::format("{} and {}, the quickest of {} each", demo::duration_text(thread),
                             demo::duration_text(process), of_each));
}
