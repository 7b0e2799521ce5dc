// Three meetings at once: in coroutines, in threads, and one after the other.

#include "toolkit/claims.hpp"
#include "toolkit/coroutines.hpp"
#include "toolkit/options.hpp"
#include "toolkit/run.hpp"
#include "toolkit/say.hpp"
#include "toolkit/text.hpp"

#include <multifork/pool/thread_pool.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace mp = multifork;
using namespace demo;
using std::chrono::milliseconds;

constexpr const char* name = "meetings";

/// What was said, and by which threads.
class Minutes {
public:
    void tell(const std::string& line) {
        const std::scoped_lock hold(mutex_);
        lines_.push_back(line);
        threads_.insert(std::this_thread::get_id());
        say("{}", line);
    }
    [[nodiscard]] const std::vector<std::string>& lines() const { return lines_; }
    [[nodiscard]] std::size_t threads() const { return threads_.size(); }
    /// How many of the first lines are greetings.
    [[nodiscard]] int greetings_first() const {
        const auto other = std::ranges::find_if(
            lines_, [](const std::string& line) { return !line.starts_with("Hi!"); });
        return static_cast<int>(other - lines_.begin());
    }

private:
    std::mutex mutex_;
    std::vector<std::string> lines_;
    std::set<std::thread::id> threads_;
};

struct Meeting {
    std::string who;
    int time;
};
const std::vector<Meeting> meetings{{"A", 1}, {"B", 2}, {"C", 3}};

void part(Minutes& minutes, const Meeting& with) {
    minutes.tell(fmt::format("See you next time, {} ({})", with.who, count_of(with.time, "unit")));
    minutes.tell(fmt::format("The meeting with {} is over", with.who));
}

// async def meeting(name, time): ...
Coroutine<int> meeting(Minutes& minutes, Meeting with, milliseconds unit) {
    minutes.tell("Hi! " + with.who);
    co_await async_sleep(with.time * unit);
    part(minutes, with);
    co_return with.time;
}
/// The same for a thread, which waits itself.
int meeting_in_thread(Minutes& minutes, const Meeting& with, milliseconds unit) {
    minutes.tell("Hi! " + with.who);
    std::this_thread::sleep_for(with.time * unit);
    part(minutes, with);
    return with.time;
}

struct Outcome {
    std::vector<int> results;
    double seconds = 0;
    [[nodiscard]] std::string text() const {
        return fmt::format("[{}] in {:.2f} s", fmt::join(results, ", "), seconds);
    }
};
Outcome timed(const char* how, const std::function<std::vector<int>()>& run) {
    heading(how);
    const auto begin = std::chrono::steady_clock::now();
    Outcome outcome{run(), 0};
    outcome.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    say("{}", outcome.text());
    return outcome;
}

Coroutine<std::vector<int>> all_meetings(Minutes& minutes, milliseconds unit) {
    std::vector<Coroutine<int>> all;
    for (const Meeting& with : meetings)
        all.push_back(meeting(minutes, with, unit));
    co_return co_await gather(std::move(all));
}

// async def hello_world(): print("hello world"); return 123
Coroutine<int> hello_world() {
    say("hello world");
    co_return 123;
}

Coroutine<int> short_wait(std::set<std::thread::id>& threads, milliseconds unit) {
    co_await async_sleep(unit);
    threads.insert(std::this_thread::get_id());
    co_return 1;
}
Coroutine<std::vector<int>> many_waits(int count, std::set<std::thread::id>& threads,
                                       milliseconds unit) {
    std::vector<Coroutine<int>> all;
    for (int i = 0; i < count; ++i)
        all.push_back(short_wait(threads, unit));
    co_return co_await gather(std::move(all));
}

int show(milliseconds unit) {
    fmt::print("{}\n", paint(Ink::strong, fmt::format("Meetings of 1, 2 and 3 units of {}",
                                                      duration_text(1'000'000 * unit.count()))));
    Minutes in_coroutines;
    Minutes in_threads;
    Minutes in_a_row;
    const Outcome coroutines = timed("In coroutines, in one thread",
                                     [&] { return run_async(all_meetings(in_coroutines, unit)); });
    const Outcome threads = timed("In a pool of 3 threads", [&] {
        mp::ThreadPool pool{3};
        return pool.map(
            [&](const Meeting& with) { return meeting_in_thread(in_threads, with, unit); },
            meetings);
    });
    const Outcome row = timed("One after the other", [&] {
        std::vector<int> results;
        for (const Meeting& with : meetings)
            results.push_back(meeting_in_thread(in_a_row, with, unit));
        return results;
    });
    heading("A coroutine");
    const int answer = run_async(hello_world());
    say("{}", answer);

    Claims claims;
    const std::vector<int> right{1, 2, 3};
    claims.check(coroutines.results == right && threads.results == right,
                 "The results come in the order in which the meetings were given",
                 fmt::format("[{}]", fmt::join(coroutines.results, ", ")));
    claims.check(in_coroutines.greetings_first() == 3,
                 "In coroutines, all are greeted before anybody goes",
                 fmt::format("{} greetings first", in_coroutines.greetings_first()));
    claims.check(in_a_row.greetings_first() == 1, "One after the other, they are not",
                 "1 greeting first");
    claims.check(in_coroutines.lines().size() == 9 &&
                     in_coroutines.lines().back() == "The meeting with C is over",
                 "Who has the longest meeting goes last", in_coroutines.lines().back());
    claims.check(in_coroutines.threads() == 1, "All coroutines run in one thread");
    claims.check(in_threads.threads() > 1 && in_threads.threads() <= 3,
                 "A pool meets in several threads",
                 fmt::format("{} threads", in_threads.threads()));
    claims.check(coroutines.seconds < row.seconds && threads.seconds < row.seconds,
                 "At once it takes as long as the longest (3 units), in a row the sum (6)",
                 fmt::format("{:.2f}, {:.2f} and {:.2f} s", coroutines.seconds, threads.seconds,
                             row.seconds));
    claims.check(answer == 123, "A coroutine returns what its function returns", "123");

    constexpr int many = 1000;
    std::set<std::thread::id> ids;
    const auto begin = std::chrono::steady_clock::now();
    const std::vector<int> waited = run_async(many_waits(many, ids, unit));
    const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - begin;
    claims.check(std::ssize(waited) == many && ids.size() == 1 && took < many * unit / 2,
                 "A thousand that wait need no thousand threads",
                 fmt::format("{} of waiting in {}", duration_text(1'000'000 * many * unit.count()),
                             duration_text(took.count())));
    return claims.exit_code();
}

} // namespace

int main(int argc, char** argv) {
    return demo::run(name, [&] {
        Options options(name,
                        "Meets A, B and C for 1, 2 and 3 seconds: in coroutines, in threads, and\n"
                        "one after the other.\n",
                        "\nExit status: 0 when all is as it should be, 1 when not, 2 when the\n"
                        "command line is wrong.\n");
        options.add_number("milliseconds", "are a unit", 1000, 20, 60'000);
        options.add_short({{"milliseconds", 100}});
        if (!options.parse(argc, argv))
            return success;
        return show(milliseconds(options.number("milliseconds")));
    });
}
