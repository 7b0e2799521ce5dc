// Two processes add 1 to a shared value. What comes of it?

#include "toolkit/claims.hpp"
#include "toolkit/options.hpp"
#include "toolkit/run.hpp"
#include "toolkit/say.hpp"
#include "toolkit/text.hpp"

#include <multifork/channel/value.hpp>
#include <multifork/process/process.hpp>
#include <multifork/sync/barrier.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <thread>

namespace {

namespace mp = multifork;
using namespace demo;
using namespace std::chrono_literals;

constexpr const char* name = "shared-counter";

using Counter = mp::Value<int>;

// def increment(shared_value): shared_value.value += 1
void increment(Counter shared_value) {
    shared_value.value() += 1;
}

/// The same, with a window between the reading and the writing: until the other one has read, too.
void increment_after_both_have_read(Counter shared_value, mp::Barrier both) {
    const int seen = shared_value.value();
    both.arrive_and_wait();
    shared_value.value() = seen + 1;
}

/// The same window, but nobody can look in: with shared_value.get_lock(): ...
void increment_under_lock(Counter shared_value) {
    std::scoped_lock hold{shared_value.get_lock()};
    const int seen = shared_value.value();
    std::this_thread::sleep_for(10ms);
    shared_value.value() = seen + 1;
}

void increment_atomically(Counter shared_value) {
    shared_value.fetch_add(1);
}

// So that none outlives this program: who waits for the other at a barrier would wait for ever if
// it were killed before it has started that one.
const mp::ProcessOptions child{.daemon = true};

template <class... Args>
int final_value(void (*target)(Counter, Args...), Args... args) {
    Counter shared_value{0};
    mp::Process p1{child, target, shared_value, args...};
    mp::Process p2{child, target, shared_value, args...};
    p1.start();
    p2.start();
    p1.join();
    p2.join();
    p1.close();
    p2.close();
    return shared_value.value();
}

/// How often each value came in so many runs.
std::map<int, int> values_of(int runs, const std::function<int()>& run) {
    std::map<int, int> times;
    for (int i = 0; i < runs; ++i)
        ++times[run()];
    return times;
}

std::string text_of(const std::map<int, int>& times) {
    std::string text;
    for (const auto& [value, often] : times)
        text += fmt::format("{}{} in {}", text.empty() ? "" : ", ", value, count_of(often, "run"));
    return text;
}

void many_racy(Counter shared_value, int times) {
    for (int i = 0; i < times; ++i)
        shared_value.value() += 1;
}
void many_locked(Counter shared_value, int times) {
    for (int i = 0; i < times; ++i) {
        std::scoped_lock hold{shared_value.get_lock()};
        shared_value.value() += 1;
    }
}

int show(int runs, int increments) {
    title("Two processes add 1 to a shared value");
    say("Final shared value: {}", final_value(increment));
    mp::Barrier both{2};
    say("Final shared value: {}   each reads before the other writes",
        final_value(increment_after_both_have_read, both));
    say("Final shared value: {}   with the value's lock", final_value(increment_under_lock));
    say("Final shared value: {}   with fetch_add", final_value(increment_atomically));
    const int racy = final_value(many_racy, increments);
    const int locked = final_value(many_locked, increments);
    say("Final shared value: {} of {} in a loop", grouped(racy), grouped(2 * increments));
    say("Final shared value: {} of {} in a loop, locked", grouped(locked), grouped(2 * increments));

    Claims claims;
    const auto plain = values_of(runs, [] { return final_value(increment); });
    claims.check(std::ranges::all_of(
                     plain, [](const auto& row) { return row.first == 1 || row.first == 2; }),
                 "value() += 1 gives 1 or 2", text_of(plain));
    const auto never = [&](const std::map<int, int>& times, int value) {
        return times.size() == 1 && times.begin()->first == value;
    };
    const auto widened =
        values_of(runs, [&] { return final_value(increment_after_both_have_read, both); });
    claims.check(never(widened, 1), "With the window wide open it always gives 1",
                 text_of(widened));
    const auto with_lock = values_of(runs, [] { return final_value(increment_under_lock); });
    claims.check(never(with_lock, 2), "With the lock it always gives 2, window or not",
                 text_of(with_lock));
    const auto atomic = values_of(runs, [] { return final_value(increment_atomically); });
    claims.check(never(atomic, 2), "With fetch_add it always gives 2", text_of(atomic));
    claims.check(locked == 2 * increments, "Of many additions none is lost with the lock",
                 grouped(locked));
    claims.note(fmt::format("{} of {} were lost without it. How many is a matter of luck.",
                            grouped(2 * increments - racy), grouped(2 * increments)));
    return claims.exit_code();
}

} // namespace

int main(int argc, char** argv) {
    return demo::run(name, [&] {
        Options options(name,
                        "Two processes add 1 to a shared value: as it comes, with a wide window\n"
                        "between reading and writing, with a lock, and atomically.\n",
                        "\nExit status: 0 when the values are those that can be, 1 when not, 2\n"
                        "when the command line is wrong.\n");
        options.add_number("runs", "of each way", 30, 1, 100'000);
        options.add_number("increments", "each adds, in the end", 20'000, 1, 1'000'000'000);
        options.add_short({{"runs", 10}});
        if (!options.parse(argc, argv))
            return success;
        return show(static_cast<int>(options.number("runs")),
                    static_cast<int>(options.number("increments")));
    });
}
