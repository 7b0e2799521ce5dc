#include "toolkit/gated_team.hpp"
#include "toolkit/race.hpp"

#include <multifork/platform/clock.hpp>

#include <algorithm>
#include <memory>

namespace demo {
namespace {

bool contains(const std::vector<std::size_t>& all, std::size_t one) {
    return std::find(all.begin(), all.end(), one) != all.end();
}

void run_round(GatedTeam& team, const std::vector<std::size_t>& schedule) {
    team.begin_round();
    auto turn = schedule.begin();
    std::size_t last = 0;
    while (!team.able().empty()) {
        const auto& able = team.able();
        while (turn != schedule.end() && !contains(able, *turn))
            ++turn;
        if (turn != schedule.end()) {
            last = *turn++;
        } else {
            const auto after = std::find_if(able.begin(), able.end(),
                                            [last](std::size_t part) { return part >= last; });
            last = after != able.end() ? *after : able.front();
        }
        team.go(last);
    }
}

} // namespace

Tally race_by_steps(const MakeRace& make, bool cured, std::int64_t rounds,
                    const std::function<void(double)>& watch) {
    Tally tally;
    std::unique_ptr<Race> race;
    std::unique_ptr<GatedTeam> team;
    const std::int64_t begin = multifork::platform::monotonic_ns();
    while (tally.rounds < rounds && tally.fallen.empty()) {
        if (!team || !team->is_usable()) {
            team.reset(); // before its race goes
            race = make(cured);
            team = std::make_unique<GatedTeam>(*race);
        }
        run_round(*team, race->bad_schedule());
        tally.fallen = team->fallen();
        if (!tally.fallen.empty())
            break;
        ++tally.rounds;
        const Race::Verdict verdict = race->judge(team->stuck());
        tally.wrong += verdict.wrong ? 1 : 0;
        if (!tally.example || (verdict.wrong && !tally.example->went_wrong))
            tally.example = team->chronicle(verdict);
        watch(static_cast<double>(tally.rounds) / static_cast<double>(rounds));
    }
    tally.took_ns = multifork::platform::monotonic_ns() - begin;
    return tally;
}

} // namespace demo
