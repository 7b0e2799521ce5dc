// The maximum of many random numbers, twice: in a row, in two threads, in two processes.

#include "toolkit/claims.hpp"
#include "toolkit/options.hpp"
#include "toolkit/run.hpp"
#include "toolkit/say.hpp"
#include "toolkit/text.hpp"

#include <multifork/channel/array.hpp>
#include <multifork/process/cpu_count.hpp>
#include <multifork/process/process.hpp>
#include <multifork/process/this_process.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <random>
#include <set>
#include <thread>
#include <vector>

namespace {

namespace mp = multifork;
using namespace demo;

constexpr const char* name = "max-in-threads";

/// Both results, and in which process each came about: shared, so that a child can write there.
struct Results {
    mp::Array<double> maxima = mp::Array<double>::of({0, 0});
    mp::Array<int> pids = mp::Array<int>::of({0, 0});

    bool operator==(const Results& other) const {
        return std::ranges::equal(maxima.view(), other.maxima.view());
    }
    [[nodiscard]] std::set<int> different_pids() const {
        return {pids.view().begin(), pids.view().end()};
    }
};

// def work(results, i): results[i] = max([random() for _ in range(count)])
void work(Results& results, std::size_t i, std::int64_t count) {
    // Seeded by its place: the same numbers come each time, whoever does the work.
    std::mt19937_64 random(i);
    std::uniform_real_distribution<double> any(0.0, 1.0);
    std::vector<double> numbers(static_cast<std::size_t>(count));
    std::ranges::generate(numbers, [&] { return any(random); });
    results.maxima[i] = *std::ranges::max_element(numbers);
    results.pids[i] = mp::this_process::pid();
}

Results in_a_row(std::int64_t count) {
    Results results;
    work(results, 0, count);
    work(results, 1, count);
    return results;
}

Results in_threads(std::int64_t count) {
    Results results;
    std::thread t1{work, std::ref(results), 0, count};
    std::thread t2{work, std::ref(results), 1, count};
    t1.join();
    t2.join();
    return results;
}

Results in_processes(std::int64_t count) {
    Results results;
    const mp::ProcessOptions child{.daemon = true}; // so that none outlives Ctrl-C
    mp::Process p1{child, work, std::ref(results), 0, count};
    mp::Process p2{child, work, std::ref(results), 1, count};
    p1.start();
    p2.start();
    p1.join();
    p2.join();
    return results;
}

double timed(const char* how, Results (*run)(std::int64_t), std::int64_t count, Results& results) {
    const auto begin = std::chrono::steady_clock::now();
    results = run(count);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    say("{:<14} {:.5f}", how, took.count());
    return took.count();
}

int show(std::int64_t count) {
    title(fmt::format("The maximum of {} random numbers, twice", grouped(count)));
    Results row;
    Results threads;
    Results processes;
    const double row_time = timed("in a row", in_a_row, count, row);
    const double thread_time = timed("2 threads", in_threads, count, threads);
    const double process_time = timed("2 processes", in_processes, count, processes);

    Claims claims;
    claims.check(row == threads && row == processes, "All three find the same two maxima",
                 fmt::format("{:.9f} and {:.9f}", row.maxima.at(0), row.maxima.at(1)));
    const int me = mp::this_process::pid();
    claims.check(threads.different_pids() == std::set{me}, "Both threads are in this process",
                 fmt::format("pid {}", me));
    claims.check(processes.different_pids().size() == 2 && !processes.different_pids().contains(me),
                 "Each process is another one",
                 fmt::format("pids {}", fmt::join(processes.different_pids(), " and ")));
    claims.note(fmt::format("Threads {:.2f} and processes {:.2f} times as fast as in a row, on {}. "
                            "In Python the threads would gain nothing: one at a time runs there.",
                            row_time / thread_time, row_time / process_time,
                            count_of(mp::cpu_count(), "processor")));
    return claims.exit_code();
}

} // namespace

int main(int argc, char** argv) {
    return demo::run(name, [&] {
        Options options(
            name,
            "Finds the maximum of many random numbers twice: in a row, in two threads,\n"
            "in two processes, and prints how many seconds each took.\n",
            "\nTimes are reported, not judged.\n"
            "\nExit status: 0 when all find the same, where they should, 1 when not, 2\n"
            "when the command line is wrong.\n");
        options.add_number("numbers", "that many", 10'000'000, 1, 500'000'000);
        options.add_short({{"numbers", 1'000'000}});
        if (!options.parse(argc, argv))
            return success;
        return show(options.number("numbers"));
    });
}
