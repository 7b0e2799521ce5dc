// Counts to a hundred million: with one thread, with two, with four, and with two processes that
// send their parts through a queue.

#include "extras.hpp"
#include "toolkit/claims.hpp"
#include "toolkit/options.hpp"
#include "toolkit/run.hpp"
#include "toolkit/say.hpp"
#include "toolkit/stopwatch.hpp"
#include "toolkit/text.hpp"

#include <multifork/multifork.hpp>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace {

namespace mp = multifork;
using namespace demo;

constexpr const char* name = "counting";

std::int64_t count(std::int64_t start, std::int64_t end) {
    std::int64_t total = 0;
    for (std::int64_t i = start; i < end; ++i) {
        total += 1;
        asm volatile("" : "+r"(total)); // else the compiler subtracts, and the loop is gone
    }
    return total;
}

struct Seen {
    double seconds = 0;
    std::int64_t sum = 0;
    int numbers_before_stop = 0;
};

/// The part of a range that the i-th of `parts` has.
std::int64_t border(std::int64_t end, std::size_t i, std::size_t parts) {
    return end / static_cast<std::int64_t>(parts) * static_cast<std::int64_t>(i) +
           (i == parts ? end % static_cast<std::int64_t>(parts) : 0);
}

// def work(start, end, result): ... result.append(total). Each thread has a place of its own: two
// that append to one std::vector would race.
void work(std::int64_t start, std::int64_t end, std::int64_t& result) {
    result = count(start, end);
}

Seen by_threads(std::size_t threads, std::int64_t end) {
    const Stopwatch time;
    std::vector<std::int64_t> result(threads);
    std::vector<std::thread> started;
    for (std::size_t i = 0; i < threads; ++i) // Thread(target=work, args=(...)).start()
        started.emplace_back(work, border(end, i, threads), border(end, i + 1, threads),
                             std::ref(result[i]));
    for (std::thread& th : started)
        th.join();
    const std::int64_t sum = std::reduce(result.begin(), result.end());
    say("Result: {}", sum);
    return {time.seconds(), sum};
}

using Item = std::variant<std::int64_t, std::string>; // numbers, and 'STOP'

// def work(start, end, result): ... result.put(total)
void work_and_put(std::int64_t start, std::int64_t end, mp::Queue<Item> result) {
    result.put(count(start, end));
}

Seen by_processes(std::int64_t end) {
    const Stopwatch time;
    Seen seen;
    mp::Queue<Item> result{3};
    const mp::ProcessOptions child{.daemon = true};           // so that none outlives Ctrl-C
    mp::Process th1{child, work_and_put, 0, end / 2, result}; // Process(target=work, args=(...))
    mp::Process th2{child, work_and_put, end / 2, end, result};
    th1.start();
    th2.start();
    th1.join();
    th2.join();

    result.put("STOP");
    while (true) {
        const Item tmp = result.get();
        if (std::holds_alternative<std::string>(tmp))
            break;
        seen.sum += std::get<std::int64_t>(tmp);
        ++seen.numbers_before_stop;
    }
    say("Result: {}", seen.sum);
    seen.seconds = time.seconds();
    return seen;
}

int show(std::int64_t end, bool brief) {
    title(fmt::format("Counting to {}, by threads and by processes", grouped(end)));
    std::vector<Seen> threads;
    for (const std::size_t n : {1U, 2U, 4U}) {
        say("{}:", count_of(static_cast<std::int64_t>(n), "thread"));
        threads.push_back(by_threads(n, end));
    }
    say("2 processes and a queue:");
    const Seen processes = by_processes(end);

    Claims claims;
    claims.check(std::ranges::all_of(threads, [&](const Seen& s) { return s.sum == end; }) &&
                     processes.sum == end,
                 "All four ways come to the same result", grouped(processes.sum));
    claims.check(processes.numbers_before_stop == 2,
                 "Who has put something and ended, has sent it: both parts came before 'STOP'",
                 count_of(processes.numbers_before_stop, "number"));
    check_join_before_get(claims, brief);
    check_costs(claims, brief ? 20 : 100);
    const auto factor = [&](const Seen& s) { return threads[0].seconds / s.seconds; };
    claims.note(fmt::format("{:.3f} s with 1 thread; {:.2g} times as quick with 2, {:.2g} with 4, "
                            "{:.2g} with 2 processes, on {}. C++ threads gain as processes do; "
                            "Python's do not.",
                            threads[0].seconds, factor(threads[1]), factor(threads[2]),
                            factor(processes), count_of(mp::cpu_count(), "processor")));
    return claims.exit_code();
}

} // namespace

int main(int argc, char** argv) {
    return demo::run(name, [&] {
        Options options(name,
                        "Counts in a loop with 1, 2 and 4 threads, and with 2 processes and a "
                        "queue. Then\nlooks at what follows: when may one join before one gets, "
                        "and what do a thread\nand a process cost?\n",
                        "\nExit status: 0 when all that is checked holds, 1 when not, 2 when the "
                        "command\nline is wrong.\n");
        options.add_number("count", "how far", 100'000'000, 1, 100'000'000'000);
        options.add_short({{"count", 10'000'000}});
        if (!options.parse(argc, argv))
            return success;
        return show(options.number("count"), options.flag("short"));
    });
}
