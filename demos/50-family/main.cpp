// A process, its parent, its children, and what they are called.

#include "toolkit/claims.hpp"
#include "toolkit/options.hpp"
#include "toolkit/proc.hpp"
#include "toolkit/run.hpp"
#include "toolkit/say.hpp"
#include "toolkit/team.hpp"
#include "toolkit/text.hpp"

#include <multifork/channel/list.hpp>
#include <multifork/process/process.hpp>
#include <multifork/process/this_process.hpp>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace mp = multifork;
using namespace demo;
using Clock = std::chrono::steady_clock;

constexpr const char* name = "family";

/// What was printed, in order; children write there too.
using Lines = mp::List<std::string>;

void tell(Lines lines, const std::string& line) {
    lines.append(line);
    say("{}", line);
}

void task(Lines lines, std::chrono::milliseconds pause) {
    std::this_thread::sleep_for(pause);
    const mp::ParentProcess parent = *mp::this_process::parent();
    tell(lines, fmt::format("parent_process : {}, {}\ncurrent_process : {}, {}", parent.name,
                            parent.pid, mp::this_process::name(), mp::this_process::pid()));
}

/// What the program has seen of itself.
struct Seen {
    std::string never_started;
    std::string only_child;
    std::vector<std::string> names;     ///< of the five
    std::size_t active = 0;             ///< when the five had been started
    std::vector<std::string> described; ///< the active ones
    bool starts_came_first = false;     ///< all five, before any was done
    std::size_t active_after_join = 0;
    Lines lines;
};

// The tutorial's program.
Seen program(std::chrono::milliseconds pause) {
    Seen seen;
    mp::Process process1;
    process1.set_name("MyProcess");
    process1.set_daemon(true);
    seen.never_started = fmt::format("process1 : {}, {}, {}", process1.name(), process1.daemon(),
                                     or_nothing(process1.pid()));
    tell(seen.lines, seen.never_started);
    tell(seen.lines, fmt::format("current_process : {}, {}", mp::this_process::name(),
                                 mp::this_process::pid()));

    mp::Process child{task, seen.lines, pause};
    child.start();
    join_all({&child, 1});
    seen.only_child = child.name();
    say("{}", repeat("-", 40));

    std::vector<mp::Process> processes;
    for (int i = 0; i < 5; ++i)
        processes.emplace_back(task, seen.lines, pause);
    for (auto& process : processes)
        process.start();
    seen.starts_came_first = std::ranges::all_of(processes, &mp::Process::is_alive);

    const auto active = mp::active_children();
    seen.active = active.size();
    tell(seen.lines, fmt::format("Active Children Count : {}", active.size()));
    for (const auto& one : active) {
        seen.described.push_back(fmt::format("{}", one));
        tell(seen.lines, seen.described.back());
    }
    join_all(processes);
    seen.active_after_join = mp::active_children().size();
    for (auto& process : processes) {
        seen.names.push_back(process.name());
        process.close();
    }
    return seen;
}

/// Waits until a child has ended, and does not join it.
bool becomes_a_zombie(int pid) {
    const auto give_up = Clock::now() + std::chrono::seconds(20);
    while (Clock::now() < give_up) {
        if (process_state(pid) == 'Z')
            return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
}

int show(std::chrono::milliseconds pause) {
    title("A process, its parent and its children");
    const Seen seen = program(pause);

    Claims claims;
    claims.check(seen.never_started == "process1 : MyProcess, true, nothing",
                 "A process that is not started yet can be renamed and made a daemon",
                 seen.never_started);
    claims.check(seen.only_child == "Process-2" &&
                     seen.names == std::vector<std::string>{"Process-3", "Process-4", "Process-5",
                                                            "Process-6", "Process-7"},
                 "Children are numbered as they are made; the one that never started took number 1",
                 fmt::format("{}, then {}", seen.only_child, fmt::join(seen.names, " ")));
    claims.check(seen.starts_came_first, "start() returns at once: all five were alive after the "
                                         "last start()");
    // MyProcess, MainProcess, the child, the count, five descriptions, five children.
    std::vector<std::string> lines;
    for (const std::string& line : seen.lines)
        lines.push_back(line);
    const auto begins = [&](std::size_t i, std::string_view with) {
        return i < lines.size() && lines[i].starts_with(with);
    };
    bool order = lines.size() == 14 && begins(3, "Active Children Count : 5");
    for (std::size_t i = 0; i < 5; ++i)
        order = order && begins(4 + i, "<Process name=") && begins(9 + i, "parent_process");
    claims.check(order, "So the count comes first, then the list, then what the children say",
                 fmt::format("{} lines", lines.size()));
    const int me = mp::this_process::pid();
    claims.check(std::ranges::all_of(seen.described,
                                     [&](const std::string& text) {
                                         return text.ends_with(
                                             fmt::format(" parent={} started>", me));
                                     }),
                 "Each is described with name, pid, parent and state",
                 seen.described.empty() ? "" : seen.described.front());
    claims.check(std::ranges::count_if(lines,
                                       [&](const std::string& line) {
                                           return line.starts_with(fmt::format(
                                               "parent_process : MainProcess, {}\n", me));
                                       }) == 6,
                 "Each child knows its parent", fmt::format("MainProcess, {}", me));
    claims.check(seen.active_after_join == 0, "After join() nobody is active");

    mp::Process short_lived;
    short_lived.start();
    const int pid = *short_lived.pid();
    const bool was_zombie = becomes_a_zombie(pid);
    const std::size_t active = mp::active_children().size();
    const char state = process_state(pid);
    claims.check(was_zombie && active == 0 && state == 0,
                 "active_children() joins those that have ended",
                 fmt::format("process {} was a zombie before the call, and is gone after it", pid));
    return claims.exit_code();
}

} // namespace

int main(int argc, char** argv) {
    return demo::run(name, [&] {
        Options options(name,
                        "Starts a child and then five, and prints who they are, who their parent\n"
                        "is, and who is active.\n",
                        "\nExit status: 0 when all is as it should be, 1 when not, 2 when the\n"
                        "command line is wrong.\n");
        options.add_number("milliseconds", "each child sleeps", 1000, 100, 60'000);
        options.add_short({{"milliseconds", 600}});
        if (!options.parse(argc, argv))
            return success;
        return show(std::chrono::milliseconds(options.number("milliseconds")));
    });
}
