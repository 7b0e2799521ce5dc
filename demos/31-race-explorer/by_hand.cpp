#include "explore.hpp"
#include "toolkit/gated_team.hpp"
#include "toolkit/keys.hpp"
#include "toolkit/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace demo {
namespace {

/// A line for each process, with the key that lets it go on.
void show_choices(const ProgramRace& race, const GatedTeam& team,
                  const std::vector<std::string>& lanes) {
    fmt::print("\n");
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        const std::string next = race.next_text(team.next(i));
        const auto& able = team.able();
        const bool can = std::find(able.begin(), able.end(), i) != able.end();
        if (can)
            fmt::print("  {}  {}: {}\n", paint(Ink::strong, fmt::format("{}", i + 1)), lanes[i],
                       next);
        else
            fmt::print("  {}\n",
                       paint(Ink::quiet, next.empty()
                                             ? fmt::format("   {}: at its end", lanes[i])
                                             : fmt::format("   {}: waits to {}", lanes[i], next)));
    }
    fmt::print("{}", paint(Ink::quiet, "  u undo   r from the start   q quit > "));
    std::fflush(stdout);
}

} // namespace

std::optional<Played> play_by_hand(const Program& program, std::size_t processes, bool locked) {
    Keys keys;
    Schedule chosen;
    for (;;) {
        // Undoing is to begin anew and to stop one step earlier.
        ProgramRace race(program, processes, locked);
        GatedTeam team(race);
        const std::vector<std::string> lanes = race.lanes();
        team.begin_round();
        Schedule done;
        bool again = false;
        while (!again && !team.able().empty()) {
            std::size_t who = 0;
            if (done.size() < chosen.size()) {
                who = chosen[done.size()];
            } else {
                if (!done.empty())
                    tell(team.chronicle());
                show_choices(race, team, lanes);
                const int key = keys.read();
                fmt::print("{}\n",
                           key > ' ' && key < 127 ? std::string(1, static_cast<char>(key)) : "");
                if (key == 'q' || key == -1 || key == 4)
                    return std::nullopt;
                again = key == 'u' || key == 'r';
                if (key == 'u' && !chosen.empty())
                    chosen.pop_back();
                if (key == 'r')
                    chosen.clear();
                const auto& able = team.able();
                who = static_cast<std::size_t>(key - '1');
                if (again || std::find(able.begin(), able.end(), who) == able.end())
                    continue;
                chosen.push_back(who);
            }
            team.go(who);
            done.push_back(who);
        }
        if (again)
            continue;
        Played played{done, {}, {}, team.fallen()};
        if (team.fallen().empty()) {
            played.verdict = race.judge(team.stuck());
            played.told = team.chronicle(played.verdict);
        }
        return played;
    }
}

} // namespace demo
