// Threads or processes? The same work in an executor of either kind, and then a task that crashes.

#include "toolkit/claims.hpp"
#include "toolkit/options.hpp"
#include "toolkit/run.hpp"
#include "toolkit/say.hpp"
#include "toolkit/text.hpp"

#include <multifork/channel/value.hpp>
#include <multifork/pool/executor.hpp>
#include <multifork/process/cpu_count.hpp>
#include <multifork/process/process.hpp>
#include <multifork/process/this_process.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace {

namespace mp = multifork;
using namespace demo;

constexpr const char* name = "executors";

/// A result, and who has worked it out.
struct Sum {
    std::uint64_t value = 0;
    int pid = 0;
};

// def squares(count): return sum(i * i for i in range(count))
Sum squares(std::uint64_t count) {
    volatile std::uint64_t sum = 0; // else the compiler would know the answer
    for (std::uint64_t i = 0; i < count; ++i)
        sum = sum + i * i;
    return {sum, mp::this_process::pid()};
}

struct Outcome {
    std::vector<std::uint64_t> values;
    std::set<int> pids;
    double seconds = 0;
};
Outcome timed(const char* how, const auto& run) {
    Outcome outcome;
    const auto begin = std::chrono::steady_clock::now();
    for (const Sum& sum : run()) {
        outcome.values.push_back(sum.value);
        outcome.pids.insert(sum.pid);
    }
    outcome.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    say("{:<20} {:.3f} s by {}", how, outcome.seconds, fmt::join(outcome.pids, " and "));
    say("  [{}]", fmt::join(outcome.values, ", "));
    return outcome;
}

int same_work(std::uint64_t count) {
    heading("The sums of two rows of squares");
    const std::vector<std::uint64_t> counts{count, count / 2};
    const Outcome plain = timed("plain", [&] {
        return std::vector<Sum>{squares(counts[0]), squares(counts[1])};
    });
    // The one line that differs.
    const Outcome threads = timed("ThreadPoolExecutor", [&] {
        mp::ThreadPoolExecutor executor{2};
        std::vector<Sum> sums;
        for (const Sum& sum : executor.map(squares, counts))
            sums.push_back(sum);
        return sums;
    });
    const Outcome processes = timed("ProcessPoolExecutor", [&] {
        mp::ProcessPoolExecutor executor{2};
        std::vector<Sum> sums;
        for (const Sum& sum : executor.map(squares, counts))
            sums.push_back(sum);
        return sums;
    });

    Claims claims;
    const int me = mp::this_process::pid();
    claims.check(threads.values == plain.values && processes.values == plain.values,
                 "The same results in the order of the input");
    claims.check(threads.pids == std::set{me}, "Threads work in this process",
                 fmt::format("pid {}", me));
    claims.check(!processes.pids.contains(me), "Processes are others",
                 fmt::format("{}", fmt::join(processes.pids, " and ")));
    claims.note(fmt::format("Threads {:.2f} and processes {:.2f} times as fast as the plain loop, "
                            "on {}. In Python threads gain nothing here; in C++ they do, and what "
                            "processes give is safety: see below.",
                            plain.seconds / threads.seconds, plain.seconds / processes.seconds,
                            count_of(mp::cpu_count(), "processor")));
    return claims.exit_code();
}

/// A task with a bug: it writes where there is no memory.
void crash() {
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    volatile int* volatile nowhere = nullptr; // so that the compiler does not leave it out
    *nowhere = 1;
}

int a_task_that_crashes() {
    heading("A task that crashes");
    mp::Process child{crash};
    child.start();
    child.join();
    paragraph(fmt::format("{}", child));

    std::string broken = "nothing was thrown";
    {
        mp::ProcessPoolExecutor executor{2};
        mp::Future<void> future = executor.submit(crash);
        try {
            future.get();
        } catch (const mp::BrokenProcessPool& error) {
            broken = error.what();
        }
    }
    paragraph(broken);

    // A program of its own, since nothing is left of it.
    mp::Value<int> got_so_far{0};
    mp::Process program{[&] {
        mp::ThreadPoolExecutor executor{2};
        got_so_far.store(1);
        executor.submit(crash).wait();
        got_so_far.store(2);
    }};
    program.start();
    program.join();
    paragraph(fmt::format("{}", program));

    Claims claims;
    claims.check(child.exitcode() == -SIGSEGV,
                 "A process that crashes ends alone, and its parent sees by what",
                 fmt::format("exit code {}", or_nothing(child.exitcode())));
    claims.check(broken != "nothing was thrown",
                 "In an executor of processes a crash is an exception for who waits", broken);
    claims.check(program.exitcode() == -SIGSEGV && got_so_far.load() == 1,
                 "In an executor of threads it ends the whole program",
                 fmt::format("exit code {}", or_nothing(program.exitcode())));
    return claims.exit_code();
}

/// Putting "Process" for "Thread" is not always enough.
int what_cannot_cross() {
    heading("A task that uses an object of its caller");
    int socket = 7; // it is this process's, and means nothing in another
    const int in_threads = mp::ThreadPoolExecutor{2}.submit([&socket] { return socket + 1; }).get();
    say("{}", in_threads);
    std::string said = "nothing was thrown";
    try {
        mp::ProcessPoolExecutor processes{2};
        say("{}", processes.submit([&socket] { return socket + 1; }).get());
    } catch (const mp::NotShareable& error) {
        said = error.what();
    }
    Claims claims;
    claims.check(in_threads == socket + 1, "Threads share it");
    claims.check(said != "nothing was thrown", "To other processes it does not go", said);
    return claims.exit_code();
}

} // namespace

int main(int argc, char** argv) {
    return demo::run(name, [&] {
        Options options(name,
                        "Sums squares in a ThreadPoolExecutor and in a ProcessPoolExecutor, and\n"
                        "shows what a task that crashes does to either.\n",
                        "\nTimes are reported, not judged.\n"
                        "\nExit status: 0 when all is as it should be, 1 when not, 2 when the\n"
                        "command line is wrong.\n");
        options.add_number("squares", "in the longer row", 200'000'000, 2, 100'000'000'000);
        options.add_short({{"squares", 10'000'000}});
        if (!options.parse(argc, argv))
            return success;
        const std::int64_t count = options.number("squares");
        fmt::print("{}\n", paint(Ink::strong, "Threads or processes?"));
        return std::max({same_work(static_cast<std::uint64_t>(std::max<std::int64_t>(count, 2))),
                         a_task_that_crashes(), what_cannot_cross()});
    });
}
