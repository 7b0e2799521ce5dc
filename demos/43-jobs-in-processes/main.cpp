// Four sums of squares: each in a process of its own, then all in this one.

#include "toolkit/claims.hpp"
#include "toolkit/distinct.hpp"
#include "toolkit/options.hpp"
#include "toolkit/run.hpp"
#include "toolkit/say.hpp"
#include "toolkit/squares.hpp"
#include "toolkit/stopwatch.hpp"
#include "toolkit/team.hpp"
#include "toolkit/text.hpp"

#include <multifork/multifork.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace mp = multifork;
using namespace demo;

constexpr const char* name = "jobs-in-processes";

mp::List<int> pids; // who ran task

// def task(idx, count):
JobResult task(const std::string& idx, std::int64_t count) {
    say("PID : {}", mp::this_process::pid());
    pids.append(mp::this_process::pid());
    return {idx, sum_of_squares(count)};
}

const mp::ProcessOptions child{.daemon = true};

double by_processes(const std::vector<Job>& job) {
    // freeze_support() is not needed: a child does not enter main().
    const Stopwatch start_time;
    std::vector<mp::Process> p_list;
    for (const auto& [idx, count] : job) {
        // Process(target=task, args=(idx, count), daemon=True): so that none outlives Ctrl-C
        p_list.emplace_back(child, task, idx, count);
        p_list.back().start();
    }
    join_all(p_list);
    const double seconds = start_time.seconds();
    say("End Time : {:.3f}", seconds);
    return seconds;
}

double by_a_loop(const std::vector<Job>& job) {
    const Stopwatch start_time;
    for (const auto& [idx, count] : job)
        task(idx, count);
    const double seconds = start_time.seconds();
    say("End Time : {:.3f}", seconds);
    return seconds;
}

// What a target returns is lost. What it puts into a queue is not.
void task_and_put(Job job, mp::Queue<JobResult> results) {
    results.put({job.first, sum_of_squares(job.second)});
}

std::vector<JobResult> through_a_queue(const std::vector<Job>& jobs) {
    mp::Queue<JobResult> results{jobs.size()};
    std::vector<mp::Process> children;
    for (const Job& job : jobs)
        children.emplace_back(child, task_and_put, job, results).start();
    std::vector<JobResult> got;
    join_all(children);
    for (std::size_t i = 0; i < jobs.size(); ++i)
        if (const auto result = results.try_get())
            got.push_back(*result);
    std::sort(got.begin(), got.end());
    return got;
}

/// Jobs that are nearly nothing.
void check_small_jobs(Claims& claims, std::size_t jobs) {
    volatile std::int64_t kept = 0;
    const auto small = [&] { kept = static_cast<std::int64_t>(sum_of_squares(500)); };
    // In turns, and the quickest of each: whatever else the machine does makes both slower.
    double loop = std::numeric_limits<double>::max();
    double processes = loop;
    for (int turn = 0; turn < 5; ++turn) {
        const Stopwatch loop_time;
        for (std::size_t i = 0; i < jobs; ++i)
            small();
        loop = std::min(loop, loop_time.seconds());
        const Stopwatch process_time;
        std::vector<mp::Process> children;
        for (std::size_t i = 0; i < jobs; ++i)
            children.emplace_back(child, small).start();
        join_all(children);
        processes = std::min(processes, process_time.seconds());
    }
    claims.check(processes > loop, "Small jobs, of 500 numbers, take longer in processes",
                 fmt::format("{} against {}",
                             duration_text(static_cast<std::int64_t>(processes * 1e9)),
                             duration_text(static_cast<std::int64_t>(loop * 1e9))));
}

int show(std::int64_t jobs, std::int64_t count) {
    title(fmt::format("{} of squares: each in its own process, and in a loop",
                      count_of(jobs, "sum")));
    const std::vector<Job> job = make_jobs(jobs, count);
    pids.clear();
    const double processes = by_processes(job);
    const std::set<int> children = distinct(pids);
    say("");
    pids.clear();
    const double loop = by_a_loop(job);
    const std::set<int> parent = distinct(pids);

    Claims claims;
    claims.check(std::ssize(children) == jobs && !children.contains(mp::this_process::pid()),
                 "Each job has a new process", count_of(std::ssize(children), "pid"));
    claims.check(parent == std::set{mp::this_process::pid()} && std::ssize(pids.copy()) == jobs,
                 "The loop runs all in this one", count_of(std::ssize(parent), "pid"));
    auto right = right_results(job);
    std::sort(right.begin(), right.end());
    const auto got = through_a_queue(job);
    claims.check(got == right, "What a target returns is lost, but a queue brings it",
                 fmt::format("'{}', {}", got.empty() ? "" : got.back().first,
                             got.empty() ? 0 : got.back().second));
    check_small_jobs(claims, job.size());
    claims.note(fmt::format("These jobs: {:.3f} s by processes, {:.3f} s in the loop: {:.2g} times "
                            "as quick, on {}.",
                            processes, loop, loop / processes,
                            count_of(mp::cpu_count(), "processor")));
    return claims.exit_code();
}

} // namespace

int main(int argc, char** argv) {
    return demo::run(name, [&] {
        Options options(name,
                        "Sums up squares: each job in a process of its own, then all in a loop.\n",
                        "\nExit status: 0 when all that is checked holds, 1 when not, 2 when the "
                        "command\nline is wrong.\n");
        options.add_number("processes", "and jobs", 4, 1, 256);
        options.add_number("count", "squares in each", 10'000'000, 1, 10'000'000'000);
        options.add_short({{"count", 1'000'000}});
        if (!options.parse(argc, argv))
            return success;
        return show(options.number("processes"), options.number("count"));
    });
}
