#include "toolkit/race_main.hpp"

#include "toolkit/picture.hpp"
#include "toolkit/progress.hpp"
#include "toolkit/run.hpp"
#include "toolkit/table.hpp"
#include "toolkit/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace demo {
namespace {

constexpr const char* epilogue =
    "\nWith real timing the processes begin each round at the same moment, and what\n"
    "happens is a matter of luck. With --step they stop before each of their steps,\n"
    "and one order of steps is forced that goes wrong every time.\n"
    "\nThe ending of --trace's FILE decides: .html a page, .svg a drawing, .json a\n"
    "trace for ui.perfetto.dev.\n"
    "\nExit status: 0 when it never went wrong with the cure (and with --step, in at\n"
    "least 99 of 100 runs without), 1 when that failed, a process died, or a file\n"
    "cannot be written, 2 when the command line is wrong.\n";

class Show {
public:
    Show(const RaceDemo& demo, const Options& options)
        : demo_(demo), step_(options.flag("step")), short_(options.flag("short")),
          rounds_(options.number(step_ ? "runs" : "rounds")), picture_path_(options.text("trace")) {
        processes_ = static_cast<std::size_t>(demo.least_processes == demo.most_processes
                                                  ? demo.processes
                                                  : options.number("processes"));
        if (step_)
            options.refuse({"rounds"}, "with --step, which takes --runs");
        else
            options.refuse({"runs"}, "without --step; real timing takes --rounds");
        if (short_ && !options.given(step_ ? "runs" : "rounds"))
            rounds_ = std::min<std::int64_t>(rounds_, step_ ? 20 : 5'000);
    }

    int run() {
        PictureFile file(picture_path_); // says at once if it cannot be written
        title(demo_.title);
        if (!demo_.lead.empty()) {
            paragraph(demo_.lead);
            fmt::print("\n");
        }
        const int width = std::max(columns(demo_.without), columns(demo_.with));
        const Table table({{step_ ? "forced order" : "real timing", width, Table::Align::left},
                           {step_ ? "runs" : "rounds", 9},
                           {demo_.wrong, 9},
                           {"%", 6},
                           {"each", 9}});
        table.print_header();
        const Tally without = measure(false);
        print(table, without, demo_.without);
        const Tally with = measure(true);
        print(table, with, demo_.with);

        const int code = judge(without, with);
        const bool show_with = !without.example || !without.example->went_wrong;
        if (without.example)
            tell(*without.example);
        if (with.example && (show_with || step_))
            tell(*with.example);
        if (code == success) {
            fmt::print("\n");
            paragraph(demo_.moral);
        }
        if (file.is_wanted()) {
            Picture picture{demo_.name, demo_.title, demo_.lead, demo_.moral, {}, step_};
            for (const Tally* tally : {&without, &with})
                if (tally->example)
                    picture.panels.push_back(*tally->example);
            file.write(picture);
            fmt::print("\nThe picture is in {}.\n", printable(picture_path_));
        }
        return code;
    }

private:
    Tally measure(bool cured) {
        Progress progress(cured ? demo_.with : demo_.without);
        const auto watch = [&](double part) { progress.show(part); };
        Tally tally;
        if (step_) {
            tally = race_by_steps([&](bool yes) { return demo_.make(yes, processes_); }, cured,
                                  rounds_, watch);
        } else {
            const auto race = demo_.make(cured, processes_);
            tally = race_in_real_time(*race, rounds_, short_ ? 0.5 : demo_.seconds, watch);
        }
        if (tally.example)
            tally.example->title =
                cured ? "With the cure: " + demo_.with : "Without the cure: " + demo_.without;
        return tally;
    }

    static void print(const Table& table, const Tally& tally, const std::string& label) {
        const Ink ink = tally.wrong == 0 ? Ink::good : Ink::bad;
        const std::int64_t rounds = std::max<std::int64_t>(tally.rounds, 1);
        const double percent =
            100.0 * static_cast<double>(tally.wrong) / static_cast<double>(rounds);
        table.print_row(
            {{label},
             {grouped(tally.rounds)},
             {grouped(tally.wrong), ink},
             {tally.wrong > 0 && percent < 0.05 ? "< 0.1" : fmt::format("{:.1f}", percent), ink},
             {duration_text(tally.took_ns / rounds), Ink::quiet}});
    }

    int judge(const Tally& without, const Tally& with) const {
        const bool as_planned =
            without.fallen.empty() && with.fallen.empty() && without.wrong > 0 && with.wrong == 0;
        if (!as_planned)
            fmt::print("\n");
        for (const Tally* tally : {&without, &with})
            for (const std::string& line : tally->fallen)
                fmt::print("{}\n", paint(Ink::bad, fmt::format("{} {}", glyphs().cross, line)));
        if (!without.fallen.empty() || !with.fallen.empty()) {
            paragraph("Not all processes lived to the end, so the figures prove nothing.");
            return failure;
        }
        if (with.wrong != 0) {
            paragraph("It went wrong although the cure was there. That must not happen: this is a "
                      "bug.",
                      Ink::bad);
            return failure;
        }
        if (step_ && without.wrong * 100 < without.rounds * 99) {
            paragraph("The forced order did not show the fault. That must not happen: this is a "
                      "bug.",
                      Ink::bad);
            return failure;
        }
        if (without.wrong == 0)
            paragraph(demo_.luck);
        return success;
    }

    const RaceDemo& demo_;
    bool step_;
    bool short_;
    std::int64_t rounds_;
    std::size_t processes_ = 2;
    std::string picture_path_;
};

void add_race_options(Options& options, const RaceDemo& demo) {
    if (demo.least_processes != demo.most_processes)
        options.add_number("processes", "that many", demo.processes, demo.least_processes,
                           demo.most_processes);
    options.add_flag("step", "force one bad order of steps");
    options.add_number("runs", "with --step", 100, 1, 100'000);
    options.add_number("rounds", "with real timing, at most", demo.rounds, 1, 1'000'000'000);
    options.add_text("trace", "write a picture of what happened", "FILE");
    options.add_flag("short", "fewer rounds");
}

} // namespace

int show_race(const RaceDemo& demo, const Options& options) {
    return Show(demo, options).run();
}

int race_main(const RaceDemo& demo, int argc, char** argv) {
    return run(demo.name, [&] {
        Options options(demo.name, demo.summary, epilogue);
        add_race_options(options, demo);
        if (!options.parse(argc, argv))
            return success;
        return show_race(demo, options);
    });
}

} // namespace demo
