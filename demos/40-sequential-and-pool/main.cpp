// One function for four items: one after the other, then by a pool of four processes. It sleeps, so
// four processes take a quarter of the time. And it guards its printing by a flag, which guards
// nothing: each process has its own.

#include "toolkit/claims.hpp"
#include "toolkit/distinct.hpp"
#include "toolkit/options.hpp"
#include "toolkit/run.hpp"
#include "toolkit/say.hpp"
#include "toolkit/stopwatch.hpp"
#include "toolkit/text.hpp"

#include <multifork/multifork.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <ranges>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace mp = multifork;
using namespace demo;
using namespace std::chrono_literals;

constexpr const char* name = "sequential-and-pool";

// Globals of a program are copied by fork: a worker has them as they were when it was made.
std::atomic<int> semaphore{0};
std::chrono::milliseconds nap{2000};
int plain = 0;
// Globals that are handles mean the same shared object in all processes.
mp::List<int> pids;
mp::Lock lock;
mp::Value<int> inside{0};
mp::Value<int> most_inside{0};
mp::Value<int> shared{0};

// def func(x):
void func(const std::string& x) {
    while (semaphore == 1) {
    }
    semaphore = 1;
    say("프로세스 id : {}", mp::this_process::pid());
    say("process_list :  {}", x);
    semaphore = 0;
    pids.append(mp::this_process::pid());
    std::this_thread::sleep_for(nap);
}

struct Seen {
    double seconds = 0; ///< until all items are done
    std::set<int> pids;
};

Seen in_sequence(const std::vector<std::string>& process_list) {
    pids.clear();
    const Stopwatch time;
    for (const std::string& x : process_list)
        func(x);
    const double seconds = time.seconds();
    say("sequence programming : {:.3f} sec\n", seconds);
    return {seconds, distinct(pids)};
}

Seen in_parallel(const std::vector<std::string>& process_list) {
    pids.clear();
    const Stopwatch time;
    mp::Pool pool{std::ssize(process_list)}; // multiprocessing.Pool(processes=4)
    const Stopwatch map_time;
    pool.map(func, process_list);
    const double seconds = map_time.seconds();
    pool.close();
    pool.join();
    say("parallel programming : {:.3f} sec", time.seconds());
    return {seconds, distinct(pids)};
}

/// How many times as quick n who wait at the same time must be, on a machine with other work, too.
double least_ratio(std::int64_t n) {
    return std::min(0.625 * static_cast<double>(n), 2.5);
}

/// What nobody should do while another one does it.
void stay_inside() {
    const int now = inside.fetch_add(1) + 1;
    most_inside.update([&](int& most) { most = std::max(most, now); });
    std::this_thread::sleep_for(std::max(nap / 10, 20ms));
    inside.fetch_add(-1);
}
void behind_the_flag(int) {
    while (semaphore == 1) {
    }
    semaphore = 1;
    stay_inside();
    semaphore = 0;
}
void behind_the_lock(int) {
    const std::scoped_lock hold{lock}; // with lock:
    stay_inside();
}

/// The most that were inside at the same moment.
int crowd(void (*guarded)(int), std::int64_t processes) {
    mp::Pool pool{processes};
    most_inside.store(0);
    pool.map(guarded, std::views::iota(0, static_cast<int>(processes)));
    return most_inside.load();
}

void check_times(Claims& claims, const Seen& sequence, const Seen& parallel, std::int64_t n) {
    claims.check(sequence.pids == std::set{mp::this_process::pid()},
                 "One after the other: all in this process",
                 count_of(std::ssize(sequence.pids), "pid"));
    claims.check(std::ssize(parallel.pids) == n && !parallel.pids.contains(mp::this_process::pid()),
                 fmt::format("A pool of {}: each item in a process of its own", n),
                 count_of(std::ssize(parallel.pids), "pid"));
    const double ratio = sequence.seconds / parallel.seconds;
    const std::string seen = fmt::format("{:.2f} s and {:.2f} s, {:.1f} times", sequence.seconds,
                                         parallel.seconds, ratio);
    if (n == 1)
        claims.note("One process in the pool has nobody to sleep beside: " + seen);
    else
        claims.check(ratio > least_ratio(n),
                     fmt::format("{} who sleep at the same time take about 1/{} of the time", n, n),
                     seen);
}

void check_guards(Claims& claims, std::int64_t n) {
    int with_flag = 0;
    for (int i = 0; i < 3 && with_flag <= 1 && n > 1; ++i) // they must come at the same time
        with_flag = crowd(behind_the_flag, n);
    if (n > 1)
        claims.check(with_flag > 1, "The flag guards nothing, as each process has its own",
                     fmt::format("{} were inside at once", with_flag));
    const int with_lock = crowd(behind_the_lock, n);
    claims.check(with_lock == 1, "A Lock guards", fmt::format("{} at once", with_lock));
}

void check_globals(Claims& claims) {
    mp::Process child{[] {
        plain = 1;
        shared.store(plain);
    }};
    child.start();
    child.join();
    claims.check(plain == 0, "What a child writes to a plain global, its parent does not see",
                 fmt::format("{}", plain));
    claims.check(shared.load() == 1, "What it writes to a Value, it sees",
                 fmt::format("{}", shared.load()));
}

int show(std::int64_t n) {
    title(fmt::format("{}, one after the other and by a pool of processes", count_of(n, "item")));
    std::vector<std::string> process_list; // ['p1', 'p2', 'p3', 'p4']
    for (std::int64_t i = 1; i <= n; ++i)
        process_list.push_back(fmt::format("p{}", i));

    Seen sequence = in_sequence(process_list);
    Seen parallel = in_parallel(process_list);
    const auto enough = [&] {
        return n == 1 || (std::ssize(parallel.pids) == n &&
                          sequence.seconds / parallel.seconds > least_ratio(n));
    };
    for (int more = 0; more < 3 && !enough(); ++more) {
        nap *= 2;
        say("\nThis machine has much else to do. Once more, with naps twice as long:\n");
        sequence = in_sequence(process_list);
        parallel = in_parallel(process_list);
    }

    Claims claims;
    check_times(claims, sequence, parallel, n);
    check_guards(claims, n);
    check_globals(claims);
    return claims.exit_code();
}

} // namespace

int main(int argc, char** argv) {
    return demo::run(name, [&] {
        Options options(
            name,
            "Calls a function that sleeps for each of some items: one after the other, "
            "and by\na pool with a process for each. Then shows that a flag in a global "
            "guards nothing\nbetween processes, and a Lock does.\n",
            "\nExit status: 0 when all that is checked holds, 1 when not, 2 when the "
            "command\nline is wrong.\n");
        options.add_number("processes", "in the pool, and items", 4, 1, 64);
        options.add_number("sleep", "milliseconds for each item", 2000, 1, 60'000);
        options.add_short({{"sleep", 285}});
        if (!options.parse(argc, argv))
            return success;
        nap = std::chrono::milliseconds(options.number("sleep"));
        return show(options.number("processes"));
    });
}
