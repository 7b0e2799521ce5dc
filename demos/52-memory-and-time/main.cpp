// Memory and time of five tasks: in processes, then one after the other.

#include "toolkit/claims.hpp"
#include "toolkit/options.hpp"
#include "toolkit/proc.hpp"
#include "toolkit/run.hpp"
#include "toolkit/say.hpp"
#include "toolkit/team.hpp"
#include "toolkit/text.hpp"

#include <multifork/channel/queue.hpp>
#include <multifork/process/cpu_count.hpp>
#include <multifork/process/process.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace {

namespace mp = multifork;
using namespace demo;
using Clock = std::chrono::steady_clock;

constexpr const char* name = "memory-and-time";
constexpr int tasks = 5;

std::string megabytes(std::int64_t bytes) {
    return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}
std::int64_t memory_usage(const char* message) {
    const std::int64_t now = resident_bytes();
    say("[{}] memory usage : {}", message, megabytes(now));
    return now;
}

/// What the numbers took of the memory of the process that made them, while they were there.
using Growths = mp::Queue<std::int64_t>;

void task(Growths growths, std::int64_t count, bool aloud) {
    const std::int64_t before = resident_bytes();
    std::minstd_rand random; // NOLINT: any numbers will do
    std::vector<double> numbers(static_cast<std::size_t>(count));
    std::ranges::generate(numbers, [&] { return std::generate_canonical<double, 31>(random); });
    static_cast<void>(*std::ranges::max_element(numbers));
    growths.put((aloud ? memory_usage("task") : resident_bytes()) - before);
}

struct Outcome {
    std::int64_t before = 0;
    std::int64_t after = 0;
    std::int64_t peak_before = 0;
    std::int64_t peak_after = 0;
    std::vector<std::int64_t> growths; ///< of who did the tasks
    std::chrono::nanoseconds took{0};
};

Outcome measured(const auto& run) {
    Growths growths{tasks};
    Outcome seen;
    seen.before = resident_bytes();
    seen.peak_before = peak_resident_bytes();
    const auto begin = Clock::now();
    run(growths);
    seen.took = Clock::now() - begin;
    seen.after = resident_bytes();
    seen.peak_after = peak_resident_bytes();
    while (const auto growth = growths.try_get())
        seen.growths.push_back(*growth);
    return seen;
}

Outcome in_processes(std::int64_t count, bool aloud) {
    return measured([&](Growths growths) {
        std::vector<mp::Process> processes;
        for (int i = 0; i < tasks; ++i)
            processes.emplace_back(mp::ProcessOptions{.daemon = true}, task, growths, count, aloud);
        if (aloud)
            memory_usage("#2, processes made");
        for (auto& process : processes)
            process.start();
        if (aloud)
            memory_usage("#3, processes started");
        join_all(processes);
        for (auto& process : processes)
            process.close();
    });
}

Outcome in_a_row(std::int64_t count, bool aloud) {
    return measured([&](Growths growths) {
        for (int i = 0; i < tasks; ++i)
            task(growths, count, aloud);
    });
}

int show(std::int64_t count) {
    title(fmt::format("Five times the maximum of {} random numbers", grouped(count)));
    memory_usage("#1, at the beginning");
    const Outcome processes = in_processes(count, true);
    memory_usage("#4, processes ended");
    const Outcome row = in_a_row(count, true);
    memory_usage("#5, the same in a row");
    say("in {} processes : {}", tasks, duration_text(processes.took.count()));
    say("in a row       : {}", duration_text(row.took.count()));

    const std::int64_t numbers = count * static_cast<std::int64_t>(sizeof(double));
    // Room for what else happens meanwhile: pages of the stack, of the C library, of output.
    const std::int64_t slack = std::max<std::int64_t>(numbers / 5, 2'000'000);
    Claims claims;
    claims.check(processes.after - processes.before < slack &&
                     processes.peak_after - processes.peak_before < slack,
                 "The parent's memory stays as it is while its children work",
                 fmt::format("{} before, {} after, at most {}", megabytes(processes.before),
                             megabytes(processes.after), megabytes(processes.peak_after)));
    const std::int64_t least =
        std::ssize(processes.growths) == tasks ? std::ranges::min(processes.growths) : 0;
    claims.check(
        least >= numbers - slack, "Each child has numbers of its own",
        fmt::format("{} more in each, for {} of numbers", megabytes(least), megabytes(numbers)));
    claims.check(row.peak_after - row.peak_before >= numbers - slack,
                 "In a row they are the parent's own",
                 fmt::format("at most {} now", megabytes(row.peak_after)));
    claims.note(fmt::format("With {1} numbers processes are {0:.2f} times as fast as a row, on {2}",
                            static_cast<double>(row.took.count()) /
                                static_cast<double>(processes.took.count()),
                            grouped(count), count_of(mp::cpu_count(), "processor")));

    // In turns, and the quickest of each: whatever else the machine does makes both slower.
    constexpr std::int64_t few = 500;
    auto few_in_processes = std::chrono::nanoseconds::max();
    auto few_in_a_row = few_in_processes;
    for (int i = 0; i < 5; ++i) {
        few_in_processes = std::min(few_in_processes, in_processes(few, false).took);
        few_in_a_row = std::min(few_in_a_row, in_a_row(few, false).took);
    }
    claims.check(few_in_processes > few_in_a_row,
                 fmt::format("With {} numbers processes are slower: starting them is most of the "
                             "work",
                             few),
                 fmt::format("{}, and {} in a row", duration_text(few_in_processes.count()),
                             duration_text(few_in_a_row.count())));
    return claims.exit_code();
}

} // namespace

int main(int argc, char** argv) {
    return demo::run(name, [&] {
        Options options(
            name,
            "Five tasks find the maximum of many random numbers, in processes and then one\n"
            "after the other, and say how much memory they use, and how long it takes.\n",
            "\nTimes of the large tasks are reported, not judged.\n"
            "\nExit status: 0 when the memory is where it should be and small tasks are\n"
            "slower in processes, 1 when not, 2 when the command line is wrong.\n");
        options.add_number("numbers", "in each task", 5'000'000, 1, 100'000'000);
        options.add_short({{"numbers", 1'000'000}});
        if (!options.parse(argc, argv))
            return success;
        return show(options.number("numbers"));
    });
}
