#include "traced.hpp"

#include "toolkit/team.hpp"

#include <multifork/channel/value.hpp>
#include <multifork/process/cpu_count.hpp>

#include <algorithm>
#include <iterator>
#include <span>

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

/// The case that is easiest to follow: fewest increments lost, no detours, and a small number.
std::optional<mp::lab::LostUpdate> simplest(const TracedRun& run) {
    auto cases = mp::lab::find_lost_updates(run.events[0], run.events[1]);
    if (cases.empty())
        return std::nullopt;
    const auto fewest = std::min_element(cases.begin(), cases.end(), [](auto& a, auto& b) {
                            return a.lost < b.lost;
                        })->lost;
    std::erase_if(cases, [&](const auto& update) { return update.lost != fewest; });

    const auto took = [&](const mp::lab::LostUpdate& update) {
        return mp::lab::duration(update, run.events[0], run.events[1]);
    };
    auto middle = cases.begin() + std::ssize(cases) / 2;
    std::nth_element(cases.begin(), middle, cases.end(),
                     [&](const auto& a, const auto& b) { return took(a) < took(b); });
    // The faster half; of it, the earliest: what is early in the run has a small number.
    return *std::min_element(cases.begin(), middle + 1, [&](const auto& a, const auto& b) {
        return run.events[a.late][a.load].value < run.events[b.late][b.load].value;
    });
}

} // namespace

TracedRun run_traced(std::chrono::nanoseconds limit, const std::function<void(double)>& watch) {
    const auto begin = Clock::now();
    const auto part = [&] {
        return std::chrono::duration<double>(Clock::now() - begin) /
               std::chrono::duration<double>(limit);
    };
    // With two processors there will soon be a case of one store over one other.
    const double patience = mp::cpu_count() > 1 ? 0.3 : 0;
    TracedRun best;
    int length = first_length;
    for (int attempt = 1;; ++attempt) {
        TracedRun run = run_once(length, [&] { watch(part()); });
        run.example = simplest(run);
        if (!best.example || (run.example && run.example->lost < best.example->lost) ||
            !run.fallen.empty())
            best = std::move(run);
        best.attempts = attempt;
        if (!best.fallen.empty() || part() >= 1 ||
            (best.example && (best.example->lost == 1 || part() >= patience)))
            return best;
        length = std::min(length * 4, longest);
    }
}

} // namespace demo
