// The calls of a lock, and ten processes with one and without.

#include "toolkit/claims.hpp"
#include "toolkit/options.hpp"
#include "toolkit/run.hpp"
#include "toolkit/say.hpp"
#include "toolkit/team.hpp"
#include "toolkit/text.hpp"

#include <multifork/channel/queue.hpp>
#include <multifork/process/cpu_count.hpp>
#include <multifork/process/process.hpp>
#include <multifork/process/this_process.hpp>
#include <multifork/sync/lock.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace mp = multifork;
using namespace demo;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr const char* name = "lock-calls";

int calls(milliseconds time_out) {
    say("{}", mp::cpu_count());
    say("{}", mp::this_process::to_string());

    mp::Lock lock;
    const auto timed = [](bool& got, const auto& call) -> nanoseconds {
        const auto begin = Clock::now();
        got = call();
        return Clock::now() - begin;
    };
    bool first = false;
    bool second = true;
    bool third = true;
    // lock.acquire(), lock.acquire(block=False), lock.acquire(timeout=10)
    timed(first, [&] {
        lock.lock();
        return lock.owner().has_value();
    });
    say("{}", first);
    const nanoseconds second_took = timed(second, [&] { return lock.try_lock(); });
    say("{}", second);
    const nanoseconds third_took = timed(third, [&] { return lock.try_lock_for(time_out); });
    say("{}", third);
    lock.unlock();
    std::string said = "nothing was thrown";
    try {
        lock.unlock();
    } catch (const mp::NotOwner& error) {
        said = error.what();
    }

    Claims claims;
    claims.check(first, "lock() takes a free lock");
    claims.check(!second && second_took < third_took, "try_lock() says no at once",
                 duration_text(second_took.count()));
    claims.check(!third && third_took >= time_out, "try_lock_for() says no when its time is over",
                 fmt::format("{} of {}", duration_text(third_took.count()),
                             duration_text(nanoseconds(time_out).count())));
    claims.check(said != "nothing was thrown", "A second unlock() is refused", said);
    return claims.exit_code();
}

/// When a process was inside.
struct Stay {
    std::int64_t from = 0;
    std::int64_t to = 0;
};
using Stays = mp::Queue<Stay>;

std::int64_t now_ns() {
    return nanoseconds(Clock::now().time_since_epoch()).count();
}

void sleep_inside(Stays stays, int i, milliseconds pause, std::int64_t begin) {
    const std::int64_t from = now_ns();
    say("process {:2} sleeps {} ms inside / current_time : {:.4f} s", i, pause.count(),
        static_cast<double>(from - begin) / 1e9);
    std::this_thread::sleep_for(pause);
    stays.put({from, now_ns()});
}
void task_with_lock(mp::Lock lock, Stays stays, int i, milliseconds pause, std::int64_t begin) {
    std::scoped_lock hold{lock}; // with lock:
    sleep_inside(stays, i, pause, begin);
}

/// \return who was inside when, sorted by the time of entry
template <class... Args>
std::vector<Stay> run(const std::vector<milliseconds>& pauses, const auto& target, Args... args) {
    Stays stays{pauses.size()};
    std::vector<mp::Process> processes;
    const std::int64_t begin = now_ns();
    for (std::size_t i = 0; i < pauses.size(); ++i)
        processes.emplace_back(mp::ProcessOptions{.daemon = true}, target, args..., stays,
                               static_cast<int>(i), pauses[i], begin);
    for (auto& process : processes)
        process.start();
    join_all(processes);
    std::vector<Stay> all;
    while (const auto stay = stays.try_get())
        all.push_back(*stay);
    std::ranges::sort(all, {}, &Stay::from);
    return all;
}

/// How many processes were inside at the same moment, at most. \param stays  sorted
int most_inside(const std::vector<Stay>& stays) {
    long most = 0;
    for (const Stay& stay : stays)
        most = std::max(most, std::ranges::count_if(stays, [&](const Stay& other) {
                            return other.from <= stay.from && stay.from < other.to;
                        }));
    return static_cast<int>(most);
}
nanoseconds whole_time(const std::vector<Stay>& stays) {
    return stays.empty()
               ? nanoseconds(0)
               : nanoseconds(std::ranges::max(stays, {}, &Stay::to).to - stays.front().from);
}

int with_and_without(int processes, milliseconds longest) {
    std::mt19937 random(2022); // NOLINT: the same pauses each time
    std::vector<milliseconds> pauses;
    milliseconds sum{0};
    for (int i = 0; i < processes; ++i) {
        pauses.emplace_back(std::uniform_int_distribution<std::int64_t>(longest.count() / 4,
                                                                        longest.count())(random));
        sum += pauses.back();
    }
    const auto count = static_cast<std::size_t>(processes);

    mp::Lock lock;
    std::vector<Stay> locked, free;
    const auto both = [&] {
        heading("With lock");
        locked = run(pauses, task_with_lock, lock);
        heading("Without lock");
        free = run(pauses, sleep_inside);
    };
    both();
    for (int more = 0; more < 3 && processes > 1 && whole_time(free) >= whole_time(locked);
         ++more) {
        say("\nThis machine has much else to do. Once more, with pauses twice as long:\n");
        for (milliseconds& pause : pauses)
            pause *= 2;
        sum *= 2;
        both();
    }

    Claims claims;
    claims.check(locked.size() == count && most_inside(locked) == 1,
                 "With the lock one at a time is inside: no two stays overlap",
                 fmt::format("{} stays", locked.size()));
    claims.check(whole_time(locked) >= sum, "It takes the sum of the pauses",
                 fmt::format("{} for {}", duration_text(whole_time(locked).count()),
                             duration_text(nanoseconds(sum).count())));
    claims.check(free.size() == count && (processes == 1 || most_inside(free) > 1),
                 "Without it they are inside together",
                 fmt::format("{} at the same moment", most_inside(free)));
    claims.check(processes == 1 || whole_time(free) < whole_time(locked),
                 "It takes as long as the longest of them",
                 fmt::format("{} for {}", duration_text(whole_time(free).count()),
                             duration_text(nanoseconds(std::ranges::max(pauses)).count())));
    if (free.size() == count)
        claims.note(fmt::format("The last one was in {} after the first.",
                                duration_text(free.back().from - free.front().from)));
    return claims.exit_code();
}

} // namespace

int main(int argc, char** argv) {
    return demo::run(name, [&] {
        Options options(name,
                        "Takes a lock in all the ways there are, then lets processes sleep while\n"
                        "they hold one, and without.\n",
                        "\nExit status: 0 when all is as it should be, 1 when not, 2 when the\n"
                        "command line is wrong.\n");
        options.add_number("processes", "that many", 10, 1, 64);
        options.add_number("milliseconds", "of sleep at most", 1000, 40, 60'000);
        options.add_short({{"milliseconds", 100}});
        if (!options.parse(argc, argv))
            return success;
        const milliseconds longest(options.number("milliseconds"));
        title("The calls of a lock, and what it is for");
        const int first = calls(std::clamp(longest, milliseconds(100), milliseconds(1000)));
        return std::max(first,
                        with_and_without(static_cast<int>(options.number("processes")), longest));
    });
}
