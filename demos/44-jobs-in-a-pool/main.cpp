// Four sums of squares by a pool of two processes, then all in this one. The pool is never closed
// nor joined, and the program ends all the same.

#include "toolkit/claims.hpp"
#include "toolkit/distinct.hpp"
#include "toolkit/options.hpp"
#include "toolkit/run.hpp"
#include "toolkit/say.hpp"
#include "toolkit/squares.hpp"
#include "toolkit/stopwatch.hpp"
#include "toolkit/text.hpp"
#include "unjoined.hpp"

#include <multifork/multifork.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <ranges>
#include <set>
#include <string>
#include <vector>

namespace {

namespace mp = multifork;
using namespace demo;

constexpr const char* name = "jobs-in-a-pool";

mp::Dict<std::string, int> pids; // who ran which job

// def task(args): idx, count = args
JobResult task(const Job& args) {
    const auto& [idx, count] = args;
    say("PID : {}", mp::this_process::pid());
    pids.set(idx, mp::this_process::pid());
    return {idx, sum_of_squares(count)};
}

std::vector<JobResult> by_a_pool(const std::vector<Job>& job, std::int64_t processes) {
    const Stopwatch start_time;
    mp::Pool pool{processes}; // Pool(processes=2)
    std::vector<JobResult> results = pool.map(task, job);
    say("{}", list_text(results));
    say("End Time : {:.3f}\n", start_time.seconds());
    return results;
}

std::vector<JobResult> by_a_loop(const std::vector<Job>& job) {
    const Stopwatch start_time;
    std::vector<JobResult> results;
    for (const Job& args : job) // [task(args) for args in job]
        results.push_back(task(args));
    say("{}", list_text(results));
    say("End Time : {:.3f}", start_time.seconds());
    return results;
}

/// Returns who it is, as soon as all the others are there, too: so nobody can run two of these.
int meet(mp::Barrier all) {
    all.arrive_and_wait_for(std::chrono::seconds(60));
    return mp::this_process::pid();
}

void check_workers(Claims& claims, const std::vector<Job>& job, std::int64_t processes) {
    mp::Pool pool{processes};
    const mp::Barrier barrier{static_cast<std::size_t>(processes)};
    const std::vector<int> met = pool.map(
        meet, std::vector(static_cast<std::size_t>(processes), barrier), {.chunk_size = 1});
    const std::set<int> workers(met.begin(), met.end());
    claims.check(std::ssize(workers) == processes,
                 fmt::format("A pool of {} has as many processes", processes),
                 count_of(std::ssize(workers), "pid"));

    // Jobs as long as each other tend to take turns; nothing makes them.
    constexpr int runs = 20;
    int in_turns = 0;
    std::set<int> seen;
    for (int run = 0; run < runs; ++run) {
        const auto who = pool.map(
            [](const Job& args) {
                static_cast<void>(sum_of_squares(args.second));
                return mp::this_process::pid();
            },
            make_jobs(std::ssize(job), 300'000), {.chunk_size = 1});
        seen.insert(who.begin(), who.end());
        in_turns += who.size() == 4 && who[0] == who[2] && who[1] == who[3] && who[0] != who[1];
    }
    claims.check(std::ranges::includes(workers, seen),
                 fmt::format("They are used again and again: {} jobs, and no new process",
                             runs * std::ssize(job)),
                 count_of(std::ssize(seen), "pid"));
    if (processes == 2 && job.size() == 4)
        claims.note(fmt::format("The 1st and 3rd job shared a process, and the 2nd and 4th the "
                                "other one, in {} of {} runs: a tendency, not a rule.",
                                in_turns, runs));
}

int show(std::int64_t processes, std::int64_t jobs, std::int64_t count) {
    title(fmt::format("{} of squares by a pool of {}, and in a loop", count_of(jobs, "sum"),
                      count_of(processes, "process", "processes")));
    const std::vector<Job> job = make_jobs(jobs, count);
    const auto pooled = by_a_pool(job, processes);
    const auto pooled_by = pids.copy();
    pids.clear();
    const auto looped = by_a_loop(job);

    Claims claims;
    const auto right = right_results(job);
    claims.check(pooled == right && looped == right, "map() keeps the order, whoever did the job",
                 fmt::format("{} right", count_of(std::ssize(pooled), "result")));
    claims.check(!pooled.empty() && pooled[0].first == "첫 번째" &&
                     pooled[0].second == right[0].second,
                 "Korean text and numbers beyond 64 bits travel",
                 fmt::format("'{}', {}", pooled[0].first, pooled[0].second));
    const auto is_here = [](const auto& row) { return row.second == mp::this_process::pid(); };
    const auto looped_by = pids.copy();
    claims.check(std::ranges::none_of(pooled_by, is_here) &&
                     std::ranges::all_of(looped_by, is_here),
                 "The pool's jobs run elsewhere, the loop's in this process");
    check_workers(claims, job, processes);
    check_unjoined(claims, processes);
    return claims.exit_code();
}

} // namespace

int main(int argc, char** argv) {
    return demo::run(name, [&] {
        Options options(name,
                        "Sums up squares by a pool of processes, then all in a loop. Nobody closes "
                        "or\njoins the pool.\n",
                        "\nExit status: 0 when all that is checked holds, 1 when not, 2 when the "
                        "command\nline is wrong.\n");
        options.add_number("processes", "in the pool", 2, 1, 64);
        options.add_number("jobs", "for them", 4, 1, 256);
        options.add_number("count", "squares in each", 10'000'000, 1, 10'000'000'000);
        options.add_short({{"count", 1'000'000}});
        if (!options.parse(argc, argv))
            return success;
        return show(options.number("processes"), options.number("jobs"), options.number("count"));
    });
}
