#pragma once

#include "toolkit/options.hpp"
#include "toolkit/race.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace demo {

/// What a demo of a race is: the texts, and how to make the race. race_main() does the rest.
struct RaceDemo {
    const char* name = "";
    std::string summary; ///< for --help
    std::string title;   ///< the first line
    std::string lead;    ///< what should happen, and what does; below the title
    std::string without = "no lock";
    std::string with = "Lock";
    std::string wrong = "wrong"; ///< the column's title
    std::string moral;           ///< the last paragraph
    /// Why real timing may show nothing wrong without the cure, on this machine.
    std::string luck = "Nothing went wrong without the cure this time. That is luck, not safety: "
                       "--step shows what can happen, every time.";
    std::int64_t rounds = 100'000; ///< with real timing, at most
    double seconds = 2;            ///< each way, at most
    /// The processes; least == most: always that many.
    std::int64_t processes = 2;
    std::int64_t least_processes = 2;
    std::int64_t most_processes = 2;

    std::function<std::unique_ptr<Race>(bool cured, std::size_t processes)> make;
};

/// The main() of such a demo: a table without and with the cure, the time line of a case that went
/// wrong, and the picture if one is wanted. \return the exit code
int race_main(const RaceDemo& demo, int argc, char** argv);

/// The same with a command line that is parsed already: it has --step, --short, --runs, --trace,
/// and
/// --rounds if it may be run without --step.
[[nodiscard]] int show_race(const RaceDemo& demo, const Options& options);

} // namespace demo
