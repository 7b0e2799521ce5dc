// Plays the scheduler: real processes take their steps in the order that the user chooses, or in
// every order that there is.

#include "explore.hpp"
#include "toolkit/keys.hpp"
#include "toolkit/options.hpp"
#include "toolkit/picture.hpp"
#include "toolkit/progress.hpp"
#include "toolkit/run.hpp"
#include "toolkit/table.hpp"
#include "toolkit/text.hpp"

#include <multifork/lab/schedules.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace {

using namespace demo;

constexpr const char* name = "race-explorer";

const Program& program_named(const std::string& wanted) {
    std::string known;
    for (const Program& program : all_programs()) {
        if (program.name == wanted)
            return program;
        known += (known.empty() ? "" : ", ") + program.name;
    }
    throw UsageError(
        fmt::format("there is no program '{}'; there are {}", printable(wanted, 40), known));
}

bool report(const std::vector<std::string>& fallen) {
    for (const std::string& line : fallen)
        fmt::print("{}\n", paint(Ink::bad, fmt::format("{} {}", glyphs().cross, line)));
    return !fallen.empty();
}

class Explorer {
public:
    Explorer(const Program& program, std::size_t processes, bool locked, std::string picture_path)
        : program_(program), processes_(processes), locked_(locked),
          picture_path_(std::move(picture_path)), file_(picture_path_) {}

    int exhaustive(std::int64_t limit) {
        refuse_too_many(limit);
        title(fmt::format("{}: {}; every order of their steps", program_.name, program_.what));
        const Explored without = measure(false);
        const Explored with = measure(true);
        if (report(without.fallen) || report(with.fallen))
            return failure;
        print(without, with);
        fmt::print("\n");
        if (with.wrong != 0 || without.wrong == 0 || !without.shortest_bad) {
            paragraph("This is not what this demo claims. That must not happen: this is a bug.",
                      Ink::bad);
            return failure;
        }
        const std::string bad = text_of(*without.shortest_bad);
        paragraph(fmt::format("{} of {} orders go wrong {}, and none of {} {}. One that goes wrong "
                              "with the fewest changes from one process to another:",
                              grouped(without.wrong), grouped(without.schedules), program_.without,
                              grouped(with.schedules), program_.with));
        Played played = play(program_, processes_, false, *without.shortest_bad);
        if (report(played.fallen))
            return failure;
        tell(played.told);
        fmt::print("\nThe same again, every time:\n  demos/run {} --program {} --processes {} "
                   "--replay \"{}\"\n",
                   name, program_.name, processes_, bad);
        Played other = play(program_, processes_, true, {});
        if (report(other.fallen))
            return failure;
        if (other.verdict.wrong) {
            paragraph(fmt::format("It went wrong {}. That must not happen: this is a bug.",
                                  program_.with),
                      Ink::bad);
            return failure;
        }
        played.told.title = program_.without + ", in the order " + bad;
        other.told.title = program_.with + ", one after the other";
        write({played.told, other.told});
        return played.verdict.wrong ? success : failure;
    }

    int replay(const std::string& text, std::int64_t runs) {
        const Schedule schedule = schedule_from(text, processes_);
        std::map<std::string, std::int64_t> results;
        Played played;
        for (std::int64_t i = 0; i < runs; ++i) {
            played = play(program_, processes_, locked_, schedule);
            if (report(played.fallen))
                return failure;
            ++results[played.verdict.text];
        }
        title(fmt::format("{}: {}; {}", program_.name, program_.what,
                          locked_ ? program_.with : program_.without));
        tell(played.told);
        if (runs > 1)
            for (const auto& [result, count] : results)
                fmt::print("  {} of {} runs: {}\n", grouped(count), grouped(runs), result);
        played.told.title = "In the order " + text_of(played.schedule);
        write({played.told});
        return results.size() == 1 ? success : failure;
    }

    int by_hand() {
        if (!Keys::are_there() || !terminal().tty)
            throw UsageError("choosing each step needs a terminal; without one there are "
                             "--exhaustive and --replay");
        title(fmt::format("{}: {}; {}", program_.name, program_.what,
                          locked_ ? program_.with : program_.without));
        paragraph("Each process stands before a step. Press its number to let it make that step.");
        auto played = play_by_hand(program_, processes_, locked_);
        if (!played)
            return success;
        if (report(played->fallen))
            return failure;
        tell(played->told);
        fmt::print("\nYour order: {}\n", text_of(played->schedule));
        played->told.title = "In the order " + text_of(played->schedule);
        write({played->told});
        return success;
    }

private:
    void refuse_too_many(std::int64_t limit) const {
        const auto steps = ProgramRace(program_, processes_, false).steps();
        const auto count = multifork::lab::count_interleavings(steps);
        if (!count || *count > limit)
            throw UsageError(fmt::format("there are {} orders of these steps, more than --limit {}",
                                         count ? grouped(*count) : "more than 2^63",
                                         grouped(limit)));
    }
    Explored measure(bool locked) const {
        Progress progress(locked ? program_.with : program_.without);
        return explore(program_, processes_, locked, [&](std::int64_t done) {
            progress.show(-1, fmt::format("{} orders", grouped(done)));
        });
    }
    void print(const Explored& without, const Explored& with) const {
        std::map<std::string, bool> results;
        std::size_t widest = 6;
        for (const Explored* explored : {&without, &with})
            for (const auto& [text, result] : explored->results) {
                results[text] = result.wrong;
                widest = std::max(widest, text.size());
            }
        const Table table({{"result", static_cast<int>(widest), Table::Align::left},
                           {program_.without, 9},
                           {program_.with, 9}});
        table.print_header();
        const auto count = [](const Explored& explored, const std::string& text) {
            const auto found = explored.results.find(text);
            return found == explored.results.end() ? "0" : grouped(found->second.schedules);
        };
        for (const auto& [text, wrong] : results) {
            const Ink ink = wrong ? Ink::bad : Ink::good;
            table.print_row({{text, ink}, {count(without, text), ink}, {count(with, text), ink}});
        }
        table.print_row({{"all orders"}, {grouped(without.schedules)}, {grouped(with.schedules)}});
    }
    void write(std::vector<Chronicle> panels) {
        if (!file_.is_wanted())
            return;
        file_.write({name, fmt::format("{}: {}", program_.name, program_.what),
                     "Real processes, stopped before each step and let go one at a time.", "",
                     std::move(panels), true});
        fmt::print("\nThe picture is in {}.\n", printable(picture_path_));
    }

    const Program& program_;
    std::size_t processes_;
    bool locked_;
    std::string picture_path_;
    PictureFile file_;
};

std::string summary() {
    std::string text =
        "Lets real processes make their steps in the order that you choose, or in all\n"
        "orders. Programs:\n\n";
    for (const Program& program : all_programs())
        text += fmt::format("  {:10} {}\n", program.name, program.what);
    return text;
}

} // namespace

int main(int argc, char** argv) {
    return demo::run(name, [&] {
        Options options(
            name, summary(),
            "\nExit status: 0 when no order went wrong with the lock and some did without\n"
            "(--exhaustive), or all replays gave the same (--replay); 1 when not; 2 when\n"
            "the command line is wrong.\n");
        options.add_text("program", "which program", "NAME", "counter");
        options.add_number("processes", "that many", 2, 2, most_processes);
        options.add_flag("lock", "with the lock (choosing, and --replay)");
        options.add_flag("exhaustive", "all orders, without and with the lock");
        options.add_text("replay", "that order: the processes' numbers, as in \"1 2 2 1\"",
                         "ORDER");
        options.add_number("runs", "with --replay", 1, 1, 100'000);
        options.add_number("limit", "with --exhaustive: orders at most", 20'000, 1, 100'000'000);
        options.add_text("trace", "write a picture of what happened", "FILE");
        if (!options.parse(argc, argv))
            return success;
        if (options.flag("exhaustive") && options.given("replay"))
            throw UsageError("--exhaustive runs all orders, --replay one: choose");
        const bool replays = options.given("replay");
        if (options.flag("exhaustive")) {
            options.refuse({"lock"}, "with --exhaustive, which runs without it and with it");
            options.refuse({"runs"}, "with --exhaustive, which runs each order once");
        } else {
            options.refuse({"limit"}, "without --exhaustive");
            if (!replays)
                options.refuse({"runs"}, "without --replay");
        }
        Explorer explorer(program_named(options.text("program")),
                          static_cast<std::size_t>(options.number("processes")),
                          options.flag("lock"), options.text("trace"));
        if (options.flag("exhaustive"))
            return explorer.exhaustive(options.number("limit"));
        if (replays)
            return explorer.replay(options.text("replay"), options.number("runs"));
        return explorer.by_hand();
    });
}
