#include "traced.hpp"

#include "toolkit/team.hpp"

#include <multifork/channel/value.hpp>

#include <algorithm>
#include <span>
#include <tuple>

namespace demo {
namespace mp = multifork;
namespace {

using Clock = std::chrono::steady_clock;

constexpr int first_length = 10'000;
constexpr int longest = 640'000; // increments each; 41 MB of trace for both

TracedRun run_once(int increments, const std::function<void()>& watch) {
    mp::Value<int> counter{0};
    const mp::lab::Trace trace(2, 2 * static_cast<std::size_t>(increments));

    const auto work = [&](int process) {
        auto lane = trace.lane(static_cast<std::size_t>(process));
        for (int i = 0; i < increments; ++i) {
            const int seen = lane.load(counter.value());
            lane.store(counter.value(), seen + 1);
        }
    };
    TeamResult team = run_together(2, work, watch);

    TracedRun run;
    run.events = {trace.events(0), trace.events(1)};
    run.expected = 2 * std::int64_t{increments};
    run.got = counter.load();
    run.fallen = std::move(team.fallen);
    return run;
}

/// The case that is easiest to follow: fewest increments lost, then shortest.
std::optional<mp::lab::LostUpdate> simplest(const TracedRun& run) {
    const auto cases = mp::lab::find_lost_updates(run.events[0], run.events[1]);
    const auto size = [&](const mp::lab::LostUpdate& update) {
        return std::tuple(update.lost, mp::lab::duration(update, run.events[0], run.events[1]));
    };
    const auto best =
        std::min_element(cases.begin(), cases.end(),
                         [&](const auto& a, const auto& b) { return size(a) < size(b); });
    if (best == cases.end())
        return std::nullopt;
    return *best;
}

} // namespace

TracedRun run_traced(std::chrono::nanoseconds limit, const std::function<void(double)>& watch) {
    const auto begin = Clock::now();
    const auto part = [&] {
        return std::chrono::duration<double>(Clock::now() - begin) /
               std::chrono::duration<double>(limit);
    };
    int length = first_length;
    for (int attempt = 1;; ++attempt) {
        TracedRun run = run_once(length, [&] { watch(part()); });
        run.attempts = attempt;
        run.example = simplest(run);
        if (run.example || !run.fallen.empty() || part() >= 1)
            return run;
        length = std::min(length * 4, longest);
    }
}

} // namespace demo
