// A process is killed while it holds a lock or a permit. Who comes next, and how?

#include "holders.hpp"
#include "toolkit/chronicle.hpp"
#include "toolkit/options.hpp"
#include "toolkit/picture.hpp"
#include "toolkit/progress.hpp"
#include "toolkit/run.hpp"
#include "toolkit/sign.hpp"
#include "toolkit/table.hpp"
#include "toolkit/text.hpp"

#include <multifork/channel/value.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/process/process.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

namespace {

namespace mp = multifork;
using namespace demo;
using namespace std::chrono_literals;

constexpr const char* name = "killed-holder";

struct Tally {
    std::int64_t runs = 0;
    std::int64_t lost = 0;
    Chronicle told;
};

void add(Chronicle& told, std::size_t lane, std::int64_t at_ns, std::string text) {
    Moment moment;
    moment.lane = lane;
    moment.at_ns = at_ns;
    moment.shape = Moment::Shape::point;
    moment.is_bad = text.starts_with('!');
    moment.text = moment.is_bad ? fmt::format("{} {}", glyphs().cross, text.substr(1)) : text;
    told.moments.push_back(std::move(moment));
}

void be_busy(std::chrono::nanoseconds time) {
    const auto until = mp::platform::monotonic_ns() + time.count();
    while (mp::platform::monotonic_ns() < until) {
    }
}

/// One process takes the thing, is killed, and the caller tries after it.
/// \param surely  it is killed while it holds it for sure; else at any moment
/// \return whether the thing is lost
bool kill_one(Holdable& thing, bool surely, std::mt19937& dice, Chronicle& told) {
    mp::Value<std::int64_t> since{0};
    Sign sign;
    mp::Process holder{{.name = "Holder", .daemon = true}, [&] {
                           if (surely) {
                               thing.take();
                               since.store(mp::platform::monotonic_ns());
                               sign.give();
                               for (;;)
                                   ::pause();
                           }
                           since.store(mp::platform::monotonic_ns());
                           sign.give();
                           for (;;) {
                               thing.take();
                               be_busy(20us);
                               thing.give_back();
                               be_busy(20us);
                           }
                       }};
    holder.start();
    if (!sign.wait())
        throw std::runtime_error("the process that was to be killed ended before");
    if (!surely)
        std::this_thread::sleep_for(std::chrono::microseconds(dice() % 2000));
    holder.kill();
    holder.join();
    const std::int64_t killed = mp::platform::monotonic_ns() - since.load();

    told = {};
    told.lanes = {"Holder", "Next"};
    add(told, 0, 0, surely ? "take" : "take, give back, ...");
    add(told, 0, killed, "killed");
    const bool usable = thing.try_after_death([&](const std::string& what) {
        add(told, 1, mp::platform::monotonic_ns() - since.load(), what);
    });
    told.moments[1].is_end = true;
    // A lock that does not know of its holder's death stays locked.
    if (surely || !usable)
        told.stretches.push_back({0, 0, usable ? 1 : Stretch::never, Stretch::Kind::holds});
    told.shape_moments();
    return !usable;
}

Tally try_kind(const Kind& kind, std::int64_t runs, bool surely) {
    Tally tally;
    std::mt19937 dice{2026};
    Progress progress(kind.name);
    for (; tally.runs < runs; ++tally.runs) {
        const auto thing = kind.make();
        Chronicle told;
        const bool lost = kill_one(*thing, surely, dice, told);
        if (tally.runs == 0 || (lost && !tally.told.went_wrong)) {
            tally.told = told;
            tally.told.title = kind.name;
            tally.told.went_wrong = lost;
            tally.told.verdict = lost ? "Its holder is dead, and nobody will ever give it back."
                                      : "The next process goes on.";
        }
        tally.lost += lost ? 1 : 0;
        progress.show(static_cast<double>(tally.runs) / static_cast<double>(runs));
    }
    return tally;
}

int show(std::int64_t runs, bool surely, const std::string& picture_path) {
    PictureFile file(picture_path);
    Picture picture{name,
                    "A process is killed while it holds a lock or a permit",
                    "Holder is killed by SIGKILL; then Next tries.",
                    "A lock that knows its holder, and a kernel that tells of deaths, keep the "
                    "others from waiting for the dead.",
                    {},
                    surely};
    title(surely ? "Processes are killed while they hold something"
                 : "Processes are killed while they take and give back");
    const Table table(
        {{"held", 15, Table::Align::left}, {"kills", 6}, {"lost for ever", 13}, {"%", 6}});
    table.print_header();
    bool right = true;
    for (const Kind& kind : all_kinds()) {
        const Tally tally = try_kind(kind, runs, surely);
        const double percent =
            100.0 * static_cast<double>(tally.lost) / static_cast<double>(tally.runs);
        const Ink ink = tally.lost == 0 ? Ink::good : Ink::bad;
        table.print_row({{kind.name},
                         {grouped(tally.runs)},
                         {grouped(tally.lost), ink},
                         {fmt::format("{:.1f}", percent), ink}});
        picture.panels.push_back(tally.told);
        right &= kind.survives ? tally.lost == 0 : !surely || tally.lost * 100 >= tally.runs * 99;
    }
    for (const Chronicle& panel : picture.panels)
        tell(panel);
    fmt::print("\n");
    if (right)
        paragraph("pthread's mutex and semaphore do not know who holds them (a robust mutex does, "
                  "if one asks for it). Lock knows: the next one is told at once, repairs what the "
                  "lock protects, and goes on. Semaphore knows too: the permit comes back.");
    else
        paragraph("This is not what this demo claims. That must not happen: this is a bug.",
                  Ink::bad);
    if (file.is_wanted()) {
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
            "Kills processes that hold a lock or a permit, and looks whether the next one\n"
            "can go on: pthread_mutex_t and Lock, sem_t and Semaphore.\n",
            "\nWithout --step the moment of the kill is a matter of luck.\n"
            "\nExit status: 0 when nothing of this library was ever lost (and with --step,\n"
            "pthread's always), 1 when not, 2 when the command line is wrong.\n");
        options.add_flag("step", "kill when it holds it for sure");
        options.add_number("runs", "kills of each", 100, 1, 100'000);
        options.add_text("trace", "write a picture of what happened", "FILE");
        options.add_short({{"runs", 20}});
        if (!options.parse(argc, argv))
            return success;
        return show(options.number("runs"), options.flag("step"), options.text("trace"));
    });
}
