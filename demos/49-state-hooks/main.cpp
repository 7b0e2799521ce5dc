// Who turns an object into bytes, and who makes it of them again?

#include "toolkit/claims.hpp"
#include "toolkit/options.hpp"
#include "toolkit/proc.hpp"
#include "toolkit/run.hpp"
#include "toolkit/say.hpp"
#include "toolkit/text.hpp"

#include "hooks.hpp"

#include <multifork/channel/queue.hpp>
#include <multifork/pool/pool.hpp>
#include <multifork/process/context.hpp>
#include <multifork/process/this_process.hpp>

#include <algorithm>
#include <optional>
#include <ranges>
#include <string>
#include <vector>

namespace {

namespace mp = multifork;
using namespace demo;

constexpr const char* name = "state-hooks";

// def custom_map(function, numbers): return [function(x) for x in numbers]
std::vector<int> custom_map(Test function, const std::vector<int>& numbers,
                            mp::Queue<HookCalls> told) {
    std::vector<int> results;
    for (const int number : numbers)
        results.push_back(function(number));
    told.put(hook_calls); // what happened in this process; the results are lost
    return results;
}

/// \return what happened in the parent, and in the child
struct Both {
    HookCalls parent;
    HookCalls child;
    std::optional<int> exitcode;
};

Both run_process(const mp::Context& ctx) {
    hook_calls = {};
    mp::Queue<HookCalls> told{1};
    Test test{1};
    say("{}", repeat("-", 10));
    say("{}", test(1));
    say("{}", repeat("-", 20));
    mp::Process process = ctx.process(custom_map, std::move(test), std::vector{1, 2, 3}, told);
    say("{}", repeat("-", 30));
    process.start();
    say("{}", repeat("-", 40));
    process.join();
    say("{}", or_nothing(process.exitcode()));
    Both both{hook_calls, told.try_get().value_or(HookCalls{-1, -1}), process.exitcode()};
    process.close();
    return both;
}

std::string text_of(const Both& both) {
    return fmt::format("get state {} and {}, set state {} and {} times, in parent and child",
                       both.parent.get_state, both.child.get_state, both.parent.set_state,
                       both.child.set_state);
}

int processes() {
    heading("Process, by spawn");
    const Both spawned = run_process(mp::get_context("spawn"));
    heading("Process, by fork");
    const Both forked = run_process(mp::get_context("fork"));

    Claims claims;
    claims.check(spawned.parent == HookCalls{1, 0} && spawned.child == HookCalls{0, 1},
                 "spawn: the state is got once in the parent, within start(), and set once in the "
                 "child",
                 text_of(spawned));
    claims.check(forked.parent == HookCalls{} && forked.child == HookCalls{},
                 "fork: neither; the child is a copy of the parent's memory", text_of(forked));
    claims.check(spawned.exitcode == 0 && forked.exitcode == 0, "Both end with exit code 0");
    return claims.exit_code();
}

/// A pool as a whole program, which closes it and does not join: told is what came of it.
int pool() {
    heading("Pool");
    SharedHookCalls in_all; // before the pool: forked workers inherit it
    mp::Queue<std::vector<int>> told{2};
    mp::Process program{[&] {
        say("{} {}", mp::this_process::ppid(), mp::this_process::pid());
        in_all.begin();
        mp::Pool pool{3};
        told.put(pool.map(Test{1}, std::views::iota(1, 5)));
        in_all.next();
        std::vector<mp::Future<int>> futures;
        for (int number = 1; number < 5; ++number)
            futures.push_back(pool.submit(Test{1}, number));
        std::vector<int> results;
        for (const auto& future : futures)
            results.push_back(future.get());
        told.put(results);
        pool.close();
    }};
    program.start();
    program.join();
    const std::vector<int> mapped = told.try_get().value_or(std::vector<int>{});
    const std::vector<int> submitted = told.try_get().value_or(std::vector<int>{});
    say("[{}]", fmt::join(mapped, ", "));
    say("[{}]", fmt::join(submitted, ", "));

    Claims claims;
    const std::vector<int> right{2, 3, 4, 5};
    claims.check(mapped == right && submitted == right, "The pool adds 1 to 1, 2, 3, 4, in order",
                 fmt::format("[{}]", fmt::join(mapped, ", ")));
    const HookCalls map = in_all.of(0);
    claims.check(map.get_state == 1 && map.set_state >= 1 && map.set_state <= 3,
                 "map(): the state is got once for all items, and set once by each worker that "
                 "takes part (Python: once for each task), although the workers are forked",
                 fmt::format("{} and {} times", map.get_state, map.set_state));
    const HookCalls submit = in_all.of(1);
    claims.check(submit == HookCalls{4, 4}, "submit(): once for each task, as in Python",
                 fmt::format("{} and {} times", submit.get_state, submit.set_state));
    claims.check(in_all.getter() == program.pid(),
                 "The state is got by the process that has the "
                 "pool alone",
                 fmt::format("pid {}", in_all.getter()));
    claims.check(program.exitcode() == 0 && process_state(*program.pid()) == 0,
                 "A program that closes a pool and does not join it ends",
                 fmt::format("exit code {}", or_nothing(program.exitcode())));
    return claims.exit_code();
}

/// What cannot be found in another process by its name or its bytes.
int closures() {
    heading("A closure that captures a reference");
    Claims claims;
    const std::string greeting = "hello from a closure, in process";
    const auto closure = [&greeting] { say("{} {}", greeting, mp::this_process::pid()); };
    for (const char* method : {"spawn", "forkserver"}) {
        mp::Process process = mp::get_context(method).process(closure);
        std::string said = "nothing was thrown";
        try {
            process.start();
        } catch (const mp::NotShareable& error) {
            said = error.what();
        }
        claims.check(said != "nothing was thrown" && !process.pid() &&
                         mp::active_children().empty(),
                     fmt::format("{}: start() refuses it, and there is no child", method), said);
    }
    mp::Process process = mp::get_context("fork").process(closure);
    process.start();
    process.join();
    claims.check(process.exitcode() == 0, "fork: it works",
                 fmt::format("exit code {}", or_nothing(process.exitcode())));
    mp::Process plain = mp::get_context("spawn").process([] {});
    plain.start();
    plain.join();
    claims.check(plain.exitcode() == 0,
                 "spawn: one without captures works, which a Python lambda does not",
                 fmt::format("exit code {}", or_nothing(plain.exitcode())));
    return claims.exit_code();
}

} // namespace

int main(int argc, char** argv) {
    return demo::run(name, [&] {
        Options options(
            name,
            "Gives an object whose serialisation prints something to a Process (by spawn\n"
            "and by fork) and to a Pool, and closures to a Process.\n",
            "\nExit status: 0 when all is as it should be, 1 when not, 2 when the\n"
            "command line is wrong.\n");
        options.add_short({});
        if (!options.parse(argc, argv))
            return success;
        fmt::print("{}\n", paint(Ink::strong, "Who turns an object into bytes, and back?"));
        return std::max({processes(), pool(), closures()}); // each of them, in this order
    });
}
