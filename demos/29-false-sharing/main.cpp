// Each process has a number of its own, and nobody else touches it. Yet they hinder each other when
// the numbers lie side by side: the processor moves memory in lines of 64 bytes.

#include "toolkit/chronicle.hpp"
#include "toolkit/options.hpp"
#include "toolkit/picture.hpp"
#include "toolkit/progress.hpp"
#include "toolkit/run.hpp"
#include "toolkit/table.hpp"
#include "toolkit/team.hpp"
#include "toolkit/text.hpp"

#include <multifork/channel/array.hpp>
#include <multifork/lab/trace.hpp>
#include <multifork/platform/clock.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace {

namespace mp = multifork;
using namespace demo;

constexpr const char* name = "false-sharing";
constexpr std::int64_t parts = 5; // of a process's work, each with a line in the picture

struct Outcome {
    std::int64_t expected = 0;
    std::int64_t got = 0;
    double ns_each = 0;
    std::vector<std::string> fallen;
    Chronicle told;
};

/// From a process's first moment to its last one.
std::optional<Stretch> whole_run(const Chronicle& told, std::size_t lane) {
    std::optional<Stretch> run;
    for (std::size_t i = 0; i < told.moments.size(); ++i)
        if (told.moments[i].lane == lane) {
            run = run.value_or(Stretch{lane, i, i, Stretch::Kind::runs});
            run->last = i;
        }
    return run;
}

/// All panels to one scale, so that what takes longer is longer.
void draw_to_scale(std::vector<Chronicle>& panels) {
    constexpr double rows = 14;
    std::int64_t longest = 1;
    for (const Chronicle& panel : panels)
        if (!panel.moments.empty())
            longest = std::max(longest, panel.moments.back().at_ns - panel.moments.front().at_ns);
    for (Chronicle& panel : panels)
        panel.ns_per_row = static_cast<double>(longest) / rows;
}

/// \param stride  elements of 8 bytes from one process's number to the next one's
Outcome count(int processes, std::int64_t increments, std::size_t stride) {
    const auto width = static_cast<std::size_t>(processes);
    mp::RawArray<std::int64_t> numbers(width * stride);
    // A part is rounded down, so there may be nearly twice as many: 9 increments are 9 of 1.
    const mp::lab::Trace trace(width, 2 * parts + 2);
    const auto work = [&](int me) {
        auto own = numbers[static_cast<std::size_t>(me) * stride];
        auto lane = trace.lane(static_cast<std::size_t>(me));
        const auto mark = [&](std::int64_t part) {
            const std::int64_t now = mp::platform::monotonic_ns();
            lane.note(mp::lab::Access::mark, 0, part, now, now);
        };
        mark(0);
        for (std::int64_t i = 1; i <= increments; ++i) {
            own += 1;
            if (i % std::max<std::int64_t>(increments / parts, 1) == 0)
                mark(i);
        }
    };
    const TeamResult team = run_together(processes, work);
    Outcome outcome;
    outcome.expected = processes * increments;
    for (std::size_t i = 0; i < width; ++i)
        outcome.got += numbers[i * stride];
    outcome.ns_each = static_cast<double>(team.took.count()) / static_cast<double>(increments);
    outcome.fallen = team.fallen;
    std::vector<std::string> lanes;
    for (int i = 1; i <= processes; ++i)
        lanes.push_back(fmt::format("Process-{}", i));
    outcome.told = chronicle_of(trace, std::move(lanes), {{"{}"}});
    for (std::size_t lane = 0; lane < width; ++lane)
        if (const auto run = whole_run(outcome.told, lane))
            outcome.told.stretches.push_back(*run);
    outcome.told.title = fmt::format("{} bytes apart", stride * sizeof(std::int64_t));
    outcome.told.verdict =
        fmt::format("{} after {}.", grouped(outcome.got), duration_text(team.took.count()));
    outcome.told.went_wrong = outcome.got != outcome.expected;
    return outcome;
}

int show(int processes, std::int64_t increments, const std::string& picture_path) {
    PictureFile file(picture_path);
    Picture picture{name,
                    "Own numbers, one cache line",
                    "Each process counts in a number of its own. Nothing is lost in either layout; "
                    "what differs is the time.",
                    "Keep what different processes write at least 64 bytes apart.",
                    {}};
    title(fmt::format("{} processes count to {}, each in a number of its own", processes,
                      grouped(increments)));
    const int width = columns(grouped(processes * increments));
    const Table table(
        {{"distance", 10, Table::Align::left}, {"expected", width}, {"got", width}, {"ns/add", 7}});
    table.print_header();
    std::vector<double> costs;
    bool right = true;
    for (const std::size_t stride : {1U, 8U, 32U}) {
        Progress progress("counting");
        progress.show(-1);
        const Outcome outcome = count(processes, increments, stride);
        progress.clear();
        const bool exact = outcome.got == outcome.expected && outcome.fallen.empty();
        right &= exact;
        costs.push_back(outcome.ns_each);
        table.print_row({{fmt::format("{} bytes", stride * sizeof(std::int64_t))},
                         {grouped(outcome.expected)},
                         {grouped(outcome.got), exact ? Ink::good : Ink::bad},
                         {fmt::format("{:.2f}", outcome.ns_each), Ink::strong}});
        for (const std::string& line : outcome.fallen)
            fmt::print("{} {}\n", glyphs().cross, line);
        picture.panels.push_back(outcome.told);
    }
    fmt::print("\n");
    const double ratio = costs.front() / std::max(std::min(costs[1], costs[2]), 1e-9);
    if (!right)
        paragraph("A number that nobody else touches is wrong, or a process died. That must not "
                  "happen.",
                  Ink::bad);
    else if (ratio > 1.3)
        paragraph(fmt::format("Side by side, an addition takes {:.1f} times as long. No number is "
                              "shared; but the line of memory that they lie in is, and it goes to "
                              "and fro between the processors.",
                              ratio));
    else
        paragraph("This time the distance made little difference: the processes did not run at the "
                  "same moment (is there one processor only, or are others busy?), or the "
                  "processors share the cache.");
    if (file.is_wanted()) {
        draw_to_scale(picture.panels);
        file.write(picture);
        fmt::print("\nThe picture is in {}.\n", printable(picture_path));
    }
    return right ? success : failure;
}

} // namespace

int main(int argc, char** argv) {
    return demo::run(name, [&] {
        Options options(
            name,
            "Processes count, each in a number of its own, with the numbers 8, 64 and 256\n"
            "bytes apart. Slow, not wrong.\n",
            "\nns/add is the time from the first addition to the last, divided by those\n"
            "of one process. It is reported, not judged.\n"
            "\nExit status: 0 when all numbers are right, 1 when not or a process died, 2\n"
            "when the command line is wrong.\n");
        options.add_number("processes", "that many", 2, 1, 64);
        options.add_number("increments", "each adds", 20'000'000, 1, 10'000'000'000);
        options.add_text("trace", "write a picture of what happened", "FILE");
        options.add_short({{"increments", 2'000'000}});
        if (!options.parse(argc, argv))
            return success;
        return show(static_cast<int>(options.number("processes")), options.number("increments"),
                    options.text("trace"));
    });
}
