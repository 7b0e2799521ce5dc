#include "unjoined.hpp"

#include "toolkit/proc.hpp"
#include "toolkit/text.hpp"

#include <multifork/multifork.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ranges>
#include <thread>
#include <vector>

namespace mp = multifork;
using namespace std::chrono_literals;

namespace {

bool runs(int pid) {
    const char state = demo::process_state(pid);
    // A zombie has ended; whose child it has become, since its parent is gone, is to reap it.
    return state != 0 && state != 'Z' && state != 'X';
}

bool end_soon(const std::vector<int>& pids) {
    for (int i = 0; i < 3000; ++i) {
        if (std::ranges::none_of(pids, runs))
            return true;
        std::this_thread::sleep_for(10ms);
    }
    return false;
}

} // namespace

void check_unjoined(demo::Claims& claims, std::int64_t processes) {
    mp::List<int> workers;
    mp::Process program{{.daemon = true}, [&] {
                            // pool = Pool(processes=2), and nothing is ever done with it again.
                            auto* const pool = new mp::Pool{processes};
                            for (const mp::ProcessHandle& worker : pool->processes())
                                workers.append(worker.pid().value());
                            pool->map([](int x) { return x * x; }, std::views::iota(0, 100));
                            std::exit(0);
                        }};
    program.start();
    const bool ended = program.try_join_for(60s);
    claims.check(
        ended && program.exitcode() == 0, "A program ends although nobody closes or joins its pool",
        ended ? fmt::format("exit code {}", program.exitcode().value_or(-1)) : "it still runs");
    const std::vector<int> pids = workers.copy();
    claims.check(std::ssize(pids) == processes && end_soon(pids),
                 "Its workers end with it, and no child is left here",
                 demo::count_of(std::ssize(pids), "worker"));
    if (!mp::active_children().empty())
        claims.check(false, "No child is left",
                     demo::count_of(std::ssize(mp::active_children()), "child", "children"));
}
