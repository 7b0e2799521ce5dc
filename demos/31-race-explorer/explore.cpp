#include "explore.hpp"

#include "toolkit/gated_team.hpp"
#include "toolkit/options.hpp"
#include "toolkit/text.hpp"

#include <multifork/lab/schedules.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace demo {

std::string text_of(const Schedule& schedule) {
    std::string text;
    for (const std::size_t process : schedule)
        text += fmt::format("{}{}", text.empty() ? "" : " ", process + 1);
    return text;
}

Schedule schedule_from(const std::string& text, std::size_t processes) {
    Schedule schedule;
    for (const char c : text) {
        if (c == ' ' || c == ',')
            continue;
        if (c < '1' || c > static_cast<char>('0' + processes))
            throw UsageError(fmt::format("--replay takes the processes' numbers in order, such as "
                                         "\"1 2 2 1\", each from 1 to {}; not '{}'",
                                         processes, printable(text, 40)));
        schedule.push_back(static_cast<std::size_t>(c - '1'));
    }
    if (schedule.empty())
        throw UsageError("--replay takes the processes' numbers in order, such as \"1 2 2 1\"");
    return schedule;
}

Explored explore(const Program& program, std::size_t processes, bool locked,
                 const std::function<void(std::int64_t)>& watch) {
    Explored all;
    multifork::lab::Schedules schedules;
    std::unique_ptr<ProgramRace> race;
    std::unique_ptr<GatedTeam> team;
    std::size_t fewest = 0;
    while (schedules.next()) {
        if (!team || !team->is_usable()) {
            team.reset();
            race = std::make_unique<ProgramRace>(program, processes, locked);
            team = std::make_unique<GatedTeam>(*race);
        }
        team->begin_round();
        while (!team->able().empty())
            team->go(schedules.pick(team->able()));
        if (!team->fallen().empty()) {
            all.fallen = team->fallen();
            return all;
        }
        const Race::Verdict verdict = race->judge(team->stuck());
        ++all.schedules;
        auto& result = all.results[verdict.text];
        ++result.schedules;
        result.wrong = verdict.wrong;
        if (verdict.wrong) {
            ++all.wrong;
            if (!all.shortest_bad || schedules.preemptions() < fewest ||
                (schedules.preemptions() == fewest &&
                 schedules.path().size() < all.shortest_bad->size())) {
                all.shortest_bad = schedules.path();
                fewest = schedules.preemptions();
            }
        }
        watch(all.schedules);
    }
    return all;
}

Played play(const Program& program, std::size_t processes, bool locked, const Schedule& schedule) {
    ProgramRace race(program, processes, locked);
    GatedTeam team(race);
    team.begin_round();
    Played played;
    while (!team.able().empty()) {
        const std::size_t at = played.schedule.size();
        const auto& able = team.able();
        const std::size_t who = at < schedule.size() ? schedule[at] : able.front();
        if (std::find(able.begin(), able.end(), who) == able.end())
            throw UsageError(
                fmt::format("step {} of that order is Process-{}'s, which cannot go on "
                            "there: it waits or has ended",
                            at + 1, who + 1));
        team.go(who);
        played.schedule.push_back(who);
    }
    played.fallen = team.fallen();
    if (!played.fallen.empty())
        return played;
    if (played.schedule.size() < schedule.size())
        throw UsageError(fmt::format("that order has {} steps, but after {} nobody can go on",
                                     schedule.size(), played.schedule.size()));
    played.verdict = race.judge(team.stuck());
    played.told = team.chronicle(played.verdict);
    return played;
}

} // namespace demo
