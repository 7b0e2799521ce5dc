// Real processes add one to a number that they share: without a lock, and with three kinds of
// protection. Then one lost update, as it happened.

#include "stepped.hpp"
#include "story.hpp"
#include "toolkit/options.hpp"
#include "toolkit/picture.hpp"
#include "toolkit/progress.hpp"
#include "toolkit/run.hpp"
#include "toolkit/table.hpp"
#include "toolkit/text.hpp"
#include "traced.hpp"
#include "variants.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>

namespace {

using namespace demo;
using namespace std::chrono_literals;

constexpr const char* name = "race-counter";
constexpr std::int64_t largest_count = std::numeric_limits<int>::max();

class Races {
public:
    Races(int processes, int increments) : processes_(processes), increments_(increments) {
        const std::int64_t most = std::int64_t{processes} * increments;
        const int width = columns(grouped(std::max(most, std::int64_t{longest_extra})));
        table_ = Table({{"variant", 12, Table::Align::left},
                        {"expected", width},
                        {"got", width},
                        {"lost", width},
                        {"lost %", 6},
                        {"ns/add", 6}});
    }

    void run_all() {
        table_.print_header();
        for (const Variant variant :
             {Variant::no_lock, Variant::lock, Variant::semaphore, Variant::atomic}) {
            bool lost_some = run(variant, increments_);
            if (is_protected(variant) || processes_ == 1)
                continue;
            // A race is a matter of luck: give it more time.
            for (std::int64_t more = std::max<std::int64_t>(increments_ * 4LL, 100'000); !lost_some;
                 more *= 4) {
                if (more * processes_ > longest_extra)
                    break;
                lost_some = run(variant, static_cast<int>(more));
            }
            if (!lost_some)
                no_loss_seen_ = true;
        }
    }

    /// \return the exit code
    int judge() const {
        fmt::print("\n");
        for (const std::string& line : fallen_)
            fmt::print("{}\n", paint(Ink::bad, fmt::format("{} {}", glyphs().cross, line)));
        if (!fallen_.empty()) {
            paragraph("Not all processes lived to the end, so the figures prove nothing.");
            return failure;
        }
        if (protected_lost_) {
            paragraph("A protected variant lost updates. That must not happen: this is a bug.",
                      Ink::bad);
            return failure;
        }
        if (processes_ == 1)
            paragraph("One process alone has nobody to race with, so nothing can be lost.");
        else if (no_loss_seen_)
            paragraph("Nothing was lost without a lock this time. That is luck, not safety: "
                      "nothing kept the processes from losing updates.");
        else
            paragraph("Without a lock, processes overwrite each other's work. With a Lock, a "
                      "Semaphore(1) or an atomic fetch_add not one update is lost.");
        return success;
    }

private:
    static constexpr std::int64_t longest_extra = 99'999'999;

    bool run(Variant variant, int increments) {
        const double total = static_cast<double>(increments) * processes_;
        Progress progress(name_of(variant));
        const Outcome outcome = race(variant, processes_, increments, [&](int now) {
            progress.show(now / total, fmt::format("counter {}", grouped(now)));
        });
        progress.clear();

        std::string label = name_of(variant);
        if (increments != increments_)
            label = "  longer";
        const Ink ink = outcome.lost() == 0 ? Ink::good : Ink::bad;
        table_.print_row(
            {{label},
             {grouped(outcome.expected)},
             {grouped(outcome.got)},
             {grouped(outcome.lost()), ink},
             {percent(outcome), ink},
             {fmt::format("{:.{}f}", outcome.ns_each, outcome.ns_each < 100 ? 1 : 0), Ink::quiet}});
        fallen_.insert(fallen_.end(), outcome.fallen.begin(), outcome.fallen.end());
        protected_lost_ |= is_protected(variant) && outcome.lost() != 0;
        return outcome.lost() != 0;
    }

    /// A few lost ones among millions are not "0.0".
    static std::string percent(const Outcome& outcome) {
        if (outcome.lost() > 0 && outcome.lost_percent() < 0.05)
            return "< 0.1";
        return fmt::format("{:.1f}", outcome.lost_percent());
    }

    int processes_;
    int increments_;
    Table table_{{}};
    std::vector<std::string> fallen_;
    bool protected_lost_ = false;
    bool no_loss_seen_ = false;
};

/// What happens with a lock, step by step: beside a lost update in real time.
/// \return false when it did not go as it should
bool add_cure(Picture& picture) {
    const RaceDemo stepped = stepped_counter(name);
    Tally cured =
        race_by_steps([&](bool yes) { return stepped.make(yes, 2); }, true, 1, [](double) {});
    for (const std::string& line : cured.fallen)
        fmt::print("{}\n", paint(Ink::bad, fmt::format("{} {}", glyphs().cross, line)));
    if (!cured.fallen.empty() || !cured.example) {
        paragraph("Not all processes lived to the end, so there is no picture.");
        return false;
    }
    if (cured.wrong != 0) {
        paragraph("With a Lock an update was lost. That must not happen: this is a bug.", Ink::bad);
        return false;
    }
    cured.example->title = "With the cure: Lock (step by step)";
    picture.panels.push_back(*cured.example);
    return true;
}

int show_timeline(PictureFile& file, const std::string& path) {
    heading("How an update gets lost");
    Progress progress("tracing");
    const TracedRun run = run_traced(5s, [&](double part) { progress.show(part); });
    progress.clear();

    if (!run.fallen.empty()) {
        for (const std::string& line : run.fallen)
            fmt::print("{} {}\n", glyphs().cross, line);
        return failure;
    }
    if (!run.example) {
        paragraph(fmt::format("No lost update could be shown: in {} of two processes, the last one "
                              "of {} increments, none was found whose times leave no doubt. Try "
                              "once more, or give the program two processors.",
                              count_of(run.attempts, "traced run"), grouped(run.expected)));
        if (!file.is_wanted())
            return success;
        paragraph(fmt::format("So there is no picture, and nothing was written to {}. With --step "
                              "there is one every time.",
                              printable(path)));
        return failure;
    }
    paragraph(fmt::format("Two processes without a lock once more; this time they write down every "
                          "load and store, with its time. They lost {} of {} increments. This is "
                          "the simplest case:",
                          grouped(run.expected - run.got), grouped(run.expected)));
    fmt::print("\n");
    Picture picture{name,
                    "How an update gets lost",
                    "Two processes add 1 to the same number: load it, add, store it.",
                    "",
                    {}};
    picture.panels.push_back(tell_story(run));
    if (file.is_wanted()) {
        fmt::print("\n");
        if (!add_cure(picture))
            return failure;
        file.write(picture);
        fmt::print("The picture is in {}.\n", printable(path));
    }
    return success;
}

int race_counter(int argc, char** argv) {
    Options options(name,
                    "Several processes add 1 to the same number at once: without a lock, with a\n"
                    "Lock, with a Semaphore(1), and with an atomic fetch_add. Then shows how an\n"
                    "update gets lost.\n",
                    "\nns/add is the time for all increments together, divided by their number.\n"
                    "\nExit status: 0 when no protected variant lost an update, 1 when one did, a\n"
                    "process died, or the picture that --trace wants cannot be had, 2 when the\n"
                    "command line is wrong.\n");
    options.add_number("processes", "that many", 4, 1, 256);
    options.add_number("increments", "each adds", 1'000'000, 1, largest_count);
    options.add_flag("no-timeline", "only the table");
    options.add_flag("step", "two processes, and one bad order of steps is forced");
    options.add_number("runs", "with --step", 100, 1, 100'000);
    options.add_text("trace", "write a picture of a lost update: .html, .svg, .json", "FILE");
    options.add_flag("short", "fewer increments, or runs");
    if (!options.parse(argc, argv))
        return success;
    if (options.flag("step")) {
        options.refuse({"processes", "increments", "no-timeline"},
                       "with --step: its two processes add 1 once in each run");
        return show_race(stepped_counter(name), options);
    }
    options.refuse({"runs"}, "without --step");
    const auto processes = options.number("processes");
    auto increments = options.number("increments");
    if (options.flag("short") && !options.given("increments"))
        increments /= 10;
    if (options.given("trace") && (options.flag("no-timeline") || processes == 1))
        throw UsageError("--trace draws the time line, which needs two processes and no "
                         "--no-timeline");
    PictureFile file(options.text("trace"));
    if (processes * increments > largest_count)
        throw UsageError(fmt::format("{} processes times {} increments are too many: an int counts "
                                     "to {}",
                                     processes, grouped(increments), grouped(largest_count)));

    const std::string times = count_of(increments, "time");
    title(processes == 1
              ? fmt::format("1 process adds 1 to a number, {}", times)
              : fmt::format("{} processes add 1 to the same number, {} each", processes, times));
    Races races(static_cast<int>(processes), static_cast<int>(increments));
    races.run_all();
    const int code = races.judge();
    if (code != success || processes == 1 || options.flag("no-timeline"))
        return code;
    return show_timeline(file, options.text("trace"));
}

} // namespace

int main(int argc, char** argv) {
    return demo::run(name, [&] { return race_counter(argc, argv); });
}
