// Four sums of squares as joblib does it: Parallel(n_jobs=4)(delayed(task)(idx, count) for ...).

#include "memory.hpp"
#include "toolkit/claims.hpp"
#include "toolkit/distinct.hpp"
#include "toolkit/options.hpp"
#include "toolkit/run.hpp"
#include "toolkit/say.hpp"
#include "toolkit/squares.hpp"
#include "toolkit/stopwatch.hpp"
#include "toolkit/text.hpp"

#include <multifork/multifork.hpp>

#include <chrono>
#include <cstdint>
#include <ranges>
#include <set>
#include <string>
#include <vector>

namespace {

namespace mp = multifork;
using namespace demo;

constexpr const char* name = "parallel";

mp::List<int> pids; // who ran task

// def task(idx, count):
JobResult task(const std::string& idx, std::int64_t count) {
    say("PID : {}", mp::this_process::pid());
    pids.append(mp::this_process::pid());
    return {idx, sum_of_squares(count)};
}

struct Seen {
    std::vector<JobResult> results;
    std::set<int> pids;
    double seconds = 0;
};

Seen in_parallel(const std::vector<Job>& job, std::int64_t n_jobs) {
    pids.clear();
    const Stopwatch start_time;
    auto results = mp::Parallel{.n_jobs = n_jobs}(job | std::views::transform([](const Job& args) {
                                                      const auto& [idx, count] = args;
                                                      return mp::delayed(task)(idx, count);
                                                  }));
    say("{}", list_text(results));
    const double seconds = start_time.seconds();
    say("End Time : {:.3f}\n", seconds);
    return {results, distinct(pids), seconds};
}

Seen in_a_loop(const std::vector<Job>& job) {
    pids.clear();
    const Stopwatch start_time;
    std::vector<JobResult> results;
    for (const auto& [idx, count] : job)
        results.push_back(task(idx, count));
    say("{}", list_text(results));
    const double seconds = start_time.seconds();
    say("End Time : {:.3f}", seconds);
    return {results, distinct(pids), seconds};
}

/// Returns who it is, as soon as all the others are there, too: so nobody can run two of these.
int meet(mp::Barrier all) {
    all.arrive_and_wait_for(std::chrono::seconds(60));
    return mp::this_process::pid();
}

int show(std::int64_t n_jobs, std::int64_t jobs, std::int64_t count, std::int64_t megabytes) {
    title(fmt::format("{} of squares by Parallel with {}, and in a loop", count_of(jobs, "sum"),
                      count_of(n_jobs, "worker")));
    const std::vector<Job> job = make_jobs(jobs, count);
    const Seen parallel = in_parallel(job, n_jobs);
    const Seen loop = in_a_loop(job);

    Claims claims;
    const auto right = right_results(job);
    claims.check(parallel.results == right && loop.results == right,
                 "The results come in the order of the jobs",
                 fmt::format("{} right", count_of(std::ssize(parallel.results), "result")));
    claims.check(
        parallel.results.front().first == "첫 번째",
        "Korean text and numbers beyond 64 bits travel",
        fmt::format("'{}', {}", parallel.results.front().first, parallel.results.front().second));
    const mp::Barrier all{static_cast<std::size_t>(n_jobs)};
    const auto met = mp::Parallel{.n_jobs = n_jobs, .batch_size = 1}(
        std::views::iota(std::int64_t{0}, n_jobs) |
        std::views::transform([&](auto) { return mp::delayed(meet)(all); }));
    const std::set<int> workers(met.begin(), met.end());
    claims.check(
        std::ssize(workers) == n_jobs && workers.contains(mp::this_process::pid()) == (n_jobs == 1),
        fmt::format("n_jobs={}: as many jobs at the same moment, each in its process", n_jobs),
        count_of(std::ssize(workers), "pid"));
    check_memory(claims, n_jobs, megabytes << 20U);
    claims.note(fmt::format("The jobs above ran in {}: {:.3f} s in parallel, {:.3f} s in the loop, "
                            "{:.2g} times as quick, on {}.",
                            count_of(std::ssize(parallel.pids), "process", "processes"),
                            parallel.seconds, loop.seconds, loop.seconds / parallel.seconds,
                            count_of(mp::cpu_count(), "processor")));
    return claims.exit_code();
}

} // namespace

int main(int argc, char** argv) {
    return demo::run(name, [&] {
        Options options(name,
                        "Sums up squares by Parallel and delayed(), as joblib has them, then in a "
                        "loop. Then\nlets all workers read one big array that is there once.\n",
                        "\nExit status: 0 when all that is checked holds, 1 when not, 2 when the "
                        "command\nline is wrong.\n");
        options.add_number("processes", "n_jobs", 4, 1, 64);
        options.add_number("jobs", "for them", 4, 1, 256);
        options.add_number("count", "squares in each", 10'000'000, 1, 10'000'000'000);
        options.add_number("megabytes", "in the array", 32, 1, 1024);
        options.add_short({{"count", 1'000'000}, {"megabytes", 4}});
        if (!options.parse(argc, argv))
            return success;
        return show(options.number("processes"), options.number("jobs"), options.number("count"),
                    options.number("megabytes"));
    });
}
