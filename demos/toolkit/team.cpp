#include "toolkit/team.hpp"

#include <multifork/channel/queue.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/sync/semaphore.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <thread>

namespace demo {
namespace mp = multifork;
using namespace std::chrono_literals;
namespace {

struct Span {
    std::int64_t begin;
    std::int64_t end;
};

bool any_ended(const std::vector<mp::Process>& team) {
    return std::any_of(team.begin(), team.end(), [](const auto& p) { return !p.is_alive(); });
}

/// Sleepers do not wake at the same instant: waits for the others awake, but not for long, because
/// one of them may have died.
void meet(mp::Value<int>& awake, int count) {
    awake.fetch_add(1);
    const auto give_up = mp::platform::Deadline::after(5ms);
    while (awake.load() < count && !give_up.passed())
        std::this_thread::yield();
}

} // namespace

std::string how_it_fell(const mp::ProcessHandle& process) {
    const int code = process.exitcode().value_or(0);
    if (code == 0)
        return {};
    const std::string who = fmt::format("{} (pid {})", process.name(), process.pid().value_or(0));
    if (code > 0)
        return fmt::format("{} ended with exit code {}", who, code);
    const char* const signal = ::sigabbrev_np(-code);
    return signal != nullptr ? fmt::format("{} was killed by signal {} (SIG{})", who, -code, signal)
                             : fmt::format("{} was killed by signal {}", who, -code);
}

TeamResult run_together(int count, const std::function<void(int)>& work,
                        const std::function<void()>& watch) {
    mp::Semaphore ready{0};
    mp::Semaphore gate{0};
    mp::Value<int> awake{0};
    mp::Queue<Span> spans{static_cast<std::size_t>(count)};

    std::vector<mp::Process> team;
    for (int i = 0; i < count; ++i) {
        // Daemons, so that none of them outlives this program, whatever ends it.
        team.emplace_back(
            mp::ProcessOptions{.name = fmt::format("Process-{}", i + 1), .daemon = true}, [&, i] {
                ready.release();
                gate.acquire();
                meet(awake, count);
                const std::int64_t begin = mp::platform::monotonic_ns();
                work(i);
                spans.put({begin, mp::platform::monotonic_ns()});
            });
    }
    for (auto& process : team)
        process.start();
    for (int arrived = 0; arrived < count;) {
        if (ready.try_acquire_for(50ms))
            ++arrived;
        else if (any_ended(team))
            break; // it will not arrive any more
        watch();
    }
    gate.release(count);

    TeamResult result;
    for (auto& process : team) {
        while (!process.try_join_for(50ms))
            watch();
        if (auto line = how_it_fell(process); !line.empty())
            result.fallen.push_back(std::move(line));
    }
    std::int64_t begin = INT64_MAX;
    std::int64_t end = INT64_MIN;
    while (const auto span = spans.try_get()) {
        begin = std::min(begin, span->begin);
        end = std::max(end, span->end);
    }
    result.took = std::chrono::nanoseconds(std::max<std::int64_t>(end - std::min(begin, end), 0));
    return result;
}

void join_all(std::span<multifork::Process> processes) {
    for (multifork::Process& process : processes)
        process.join();
    for (const multifork::Process& process : processes)
        if (const std::string how = how_it_fell(process); !how.empty())
            throw std::runtime_error(how);
}

} // namespace demo
