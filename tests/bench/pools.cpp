#include "bench.hpp"

#include <multifork/pool/pool.hpp>

#include <array>
#include <atomic>
#include <numeric>
#include <vector>

// Pools, beside forked workers that share nothing but an array, or an index into it.

namespace mp = multifork;

namespace {

constexpr int items = 100'000;

int square(int x) {
    return x * x;
}

struct Shared {
    std::array<int, items> inputs;
    std::array<int, items> results;
    alignas(64) std::atomic<int> next{0};
    alignas(64) std::atomic<int> ready{0};
    std::atomic<bool> open{false};
    alignas(64) std::atomic<int> done{0};
};

void work(Shared& shared, int worker, bool share_index) {
    const auto one = [&](int at) {
        const auto i = static_cast<std::size_t>(at);
        shared.results[i] = square(shared.inputs[i]);
    };
    if (share_index) {
        for (int at = shared.next.fetch_add(1); at < items; at = shared.next.fetch_add(1))
            one(at);
        return;
    }
    for (int at = worker * items / 2; at < (worker + 1) * items / 2; ++at)
        one(at);
}

/// Millions of items a second by two workers that are there when the clock starts; it ends when
/// both are done, not when they have ended.
double forked(bool share_index) {
    const bench::SharedMemory<Shared> shared;
    std::iota(shared->inputs.begin(), shared->inputs.end(), 0);
    std::array<pid_t, 2> pids{};
    for (int i = 0; i < 2; ++i) {
        const pid_t pid = ::fork();
        if (pid == 0) {
            bench::pin(i);
            ++shared->ready;
            while (!shared->open)
                ::sched_yield();
            work(*shared, i, share_index);
            ++shared->done;
            ::_exit(0);
        }
        pids[static_cast<std::size_t>(i)] = pid;
    }
    while (shared->ready < 2)
        ::sched_yield();
    const std::int64_t start = bench::now_ns();
    shared->open = true;
    while (shared->done < 2)
        ::sched_yield();
    const std::int64_t end = bench::now_ns();
    for (const pid_t pid : pids) {
        int status = 0;
        ::waitpid(pid, &status, 0);
    }
    return items / static_cast<double>(end - start) * 1e3;
}

double map(mp::Pool& pool, const std::vector<int>& inputs, const mp::MapOptions& options) {
    const std::int64_t start = bench::now_ns();
    const std::vector<int> results = pool.map(square, inputs, options);
    const std::int64_t end = bench::now_ns();
    if (results.back() != square(inputs.back()))
        std::exit(1);
    return items / static_cast<double>(end - start) * 1e3;
}

double submit(mp::Pool& pool) {
    constexpr int tasks = 20'000;
    const std::int64_t start = bench::now_ns();
    std::vector<mp::Future<int>> futures;
    futures.reserve(tasks);
    for (int i = 0; i < tasks; ++i)
        futures.push_back(pool.submit(square, i));
    for (const auto& future : futures)
        static_cast<void>(future.get());
    return tasks / static_cast<double>(bench::now_ns() - start) * 1e3;
}

double milliseconds(const std::function<void()>& act) {
    const std::int64_t start = bench::now_ns();
    act();
    return static_cast<double>(bench::now_ns() - start) * 1e-6;
}

void two_forks() {
    std::array<pid_t, 2> pids{};
    for (pid_t& pid : pids)
        if (pid = ::fork(); pid == 0)
            ::_exit(0);
    for (const pid_t pid : pids) {
        int status = 0;
        ::waitpid(pid, &status, 0);
    }
}

void two_processes() {
    mp::Process a{[] {}};
    mp::Process b{[] {}};
    a.start();
    b.start();
}

void pool_of_two() {
    mp::Pool pool{2};
    static_cast<void>(pool.map(square, std::vector{1, 2}));
    pool.close();
    pool.join();
}

} // namespace

int main(int argc, char** argv) {
    const int rounds = bench::rounds(argc, argv, 15);
    std::vector<int> inputs(items);
    std::iota(inputs.begin(), inputs.end(), 0);

    // Before there is a thread: the peers fork.
    bench::Table starts("create, map 2 ints, shut down", "milliseconds");
    starts.row("fork two, wait", [] { return milliseconds(two_forks); });
    starts.row("start and join two Processes", [] { return milliseconds(two_processes); });
    starts.row("Pool(2)", [] { return milliseconds(pool_of_two); });
    starts.target("Pool(2)", "fork two, wait", false, 3);
    starts.run(rounds);

    bench::Table maps("100,000 ints, 2 workers", "M items/s");
    mp::Pool pool{2};
    static_cast<void>(pool.map(square, inputs));
    maps.row("two forked workers, static halves", [] { return forked(false); });
    maps.row("two forked workers, shared index", [] { return forked(true); });
    maps.row("map", [&] { return map(pool, inputs, {}); });
    maps.row("map, chunk size 1", [&] { return map(pool, inputs, {.chunk_size = 1}); });
    maps.row("submit + get, 20,000 tasks", [&] { return submit(pool); });
    maps.target("map", "two forked workers, static halves", true, 0.5);
    maps.target("map, chunk size 1", "two forked workers, shared index", true, 0.5);
    maps.target("submit + get, 20,000 tasks", "two forked workers, shared index", true, 0.1);
    maps.run(rounds);
}
