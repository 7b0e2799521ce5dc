#pragma once

#include "program.hpp"
#include "toolkit/chronicle.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace demo {

using Schedule = std::vector<std::size_t>;

/// One way through the program.
struct Played {
    Schedule schedule;
    Race::Verdict verdict;
    Chronicle told;
    std::vector<std::string> fallen;
};

/// All ways through it.
struct Explored {
    struct Result {
        std::int64_t schedules = 0;
        bool wrong = false;
    };
    std::int64_t schedules = 0;
    std::int64_t wrong = 0;
    std::map<std::string, Result> results; ///< by what came out
    /// Of the wrong ones, one with the fewest changes from one process to another.
    std::optional<Schedule> shortest_bad;
    std::vector<std::string> fallen;
};

/// Runs every order of steps, with real processes.
[[nodiscard]] Explored explore(const Program& program, std::size_t processes, bool locked,
                               const std::function<void(std::int64_t)>& watch);

/// Runs one order; when it is at its end, the others go on, the first one first.
/// \throws UsageError when one is to go that cannot
[[nodiscard]] Played play(const Program& program, std::size_t processes, bool locked,
                          const Schedule& schedule);

/// Lets the user choose; at the terminal.
/// \return what was played last; empty when the user left in the middle
[[nodiscard]] std::optional<Played> play_by_hand(const Program& program, std::size_t processes,
                                                 bool locked);

/// "1 2 2 1", as people count; and back. \throws UsageError
[[nodiscard]] std::string text_of(const Schedule& schedule);
[[nodiscard]] Schedule schedule_from(const std::string& text, std::size_t processes);

} // namespace demo
