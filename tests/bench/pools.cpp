#include "bench.hpp"
#include "sums.hpp"

#include <multifork/channel/array.hpp>
#include <multifork/pool/pool.hpp>

#ifdef MULTIFORK_BENCH_TBB
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

// Pools, beside forked workers that share nothing but an array, or an index into it; and, where the
// build has found it (Debian: libtbb-dev), beside TBB's threads.

namespace mp = multifork;
using bench::ForkedSums;
using bench::SleepingSums;
using bench::sum_of;

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

constexpr auto square_inline = [](int x) { return x * x; };

template <class F>
double map(mp::Pool& pool, F f, const std::vector<int>& inputs, const mp::MapOptions& options) {
    const std::int64_t start = bench::now_ns();
    const std::vector<int> results = pool.map(f, inputs, options);
    const std::int64_t end = bench::now_ns();
    if (results.back() != square(inputs.back()))
        std::exit(1);
    return items / static_cast<double>(end - start) * 1e3;
}

double submit_once(mp::Pool& pool) {
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
/// The second of two times. The peers are forked from this process, which makes each of its pages
/// fault when it is written to next: nearly half of the time of the first.
double submit(mp::Pool& pool) {
    static_cast<void>(submit_once(pool));
    return submit_once(pool);
}

/// Millions of items a second by Python's Pool.map with chunk size 1, the second of two times.
/// \return nothing, where there is no Python
std::optional<double> map_by_python() {
    constexpr const char* command = R"(python3 -c '
import multiprocessing, time
def square(x):
    return x * x
if __name__ == "__main__":
    items = 20000
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for _ in range(2):
            start = time.perf_counter()
            results = pool.map(square, range(items), chunksize=1)
            seconds = time.perf_counter() - start
    assert results[-1] == square(items - 1)
    print(items / seconds / 1e6)
' 2>/dev/null)";
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> output(::popen(command, "r"), ::pclose);
    double figure = 0;
    if (output == nullptr || std::fscanf(output.get(), "%lf", &figure) != 1)
        return std::nullopt;
    return figure;
}

// ---- 64 MB of doubles, summed by two workers

constexpr std::size_t doubles = 8u << 20;

void check_sum(double sum) {
    if (sum != static_cast<double>(doubles))
        std::exit(1);
}

double sum_by_spans(mp::Pool& pool, std::span<const double> numbers) {
    const std::int64_t start = bench::now_ns();
    const std::span<const double> first = numbers.first(doubles / 2);
    const std::span<const double> second = numbers.last(doubles / 2);
    auto a = pool.submit(sum_of, first);
    auto b = pool.submit(sum_of, second);
    const double sum = a.get() + b.get();
    const std::int64_t end = bench::now_ns();
    check_sum(sum);
    return static_cast<double>(end - start) * 1e-6;
}

double sum_by_handles(mp::Pool& pool, const mp::RawArray<double>& numbers) {
    const auto half = [](const mp::RawArray<double>& all, std::size_t from) {
        return sum_of(std::span<const double>(all.data() + from, doubles / 2));
    };
    const std::int64_t start = bench::now_ns();
    auto a = pool.submit(half, numbers, std::size_t{0});
    auto b = pool.submit(half, numbers, doubles / 2);
    const double sum = a.get() + b.get();
    const std::int64_t end = bench::now_ns();
    check_sum(sum);
    return static_cast<double>(end - start) * 1e-6;
}

// ---- chunks that take a while

/// About `nanoseconds` of work that the compiler cannot leave out.
std::uint64_t toil(std::uint64_t seed, int steps) {
    for (int i = 0; i < steps; ++i)
        seed = seed * 6364136223846793005u + 1442695040888963407u;
    return seed;
}
int steps_for(std::int64_t nanoseconds) {
    constexpr int many = 4'000'000;
    std::int64_t least = 1'000'000'000;
    std::uint64_t seed = 1;
    for (int i = 0; i < 5; ++i) {
        const std::int64_t start = bench::now_ns();
        seed = toil(seed, many);
        least = std::min(least, bench::now_ns() - start);
    }
    return seed == 0 ? 0 : static_cast<int>(nanoseconds * many / least);
}

double toil_by_pool(mp::Pool& pool, int steps, std::size_t chunks) {
    std::vector<std::uint64_t> seeds(chunks, 1);
    const std::int64_t start = bench::now_ns();
    const auto results = pool.map([steps](std::uint64_t seed) { return toil(seed, steps); }, seeds,
                                  {.chunk_size = 1});
    const std::int64_t end = bench::now_ns();
    if (results.back() == 0)
        std::exit(1);
    return static_cast<double>(end - start) * 1e-6;
}

/// The same by two workers that are there when the clock starts.
double toil_by_forks(int steps, int chunks) {
    struct Toil {
        std::array<std::uint64_t, 2> results{};
        alignas(64) std::atomic<int> next{0};
        alignas(64) std::atomic<int> ready{0};
    };
    const bench::SharedMemory<Toil> shared;
    std::array<pid_t, 2> pids{};
    for (std::size_t i = 0; i < 2; ++i) {
        pids[i] = ::fork();
        if (pids[i] != 0)
            continue;
        bench::pin(static_cast<int>(i));
        ++shared->ready;
        while (shared->ready < 3)
            ::sched_yield();
        while (shared->next.fetch_add(1) < chunks)
            shared->results[i] += toil(1, steps);
        ::_exit(0);
    }
    while (shared->ready < 2)
        ::sched_yield();
    const std::int64_t start = bench::now_ns();
    ++shared->ready;
    int status = 0;
    for (const pid_t pid : pids) // asleep meanwhile: the workers have both cores
        ::waitpid(pid, &status, 0);
    return static_cast<double>(bench::now_ns() - start) * 1e-6;
}

#ifdef MULTIFORK_BENCH_TBB
double toil_by_tbb(int steps, std::size_t chunks) {
    const tbb::global_control two(tbb::global_control::max_allowed_parallelism, 2);
    std::vector<std::uint64_t> results(chunks, 1);
    const std::int64_t start = bench::now_ns();
    tbb::parallel_for(tbb::blocked_range<std::size_t>(0, chunks, 1), [&](const auto& range) {
        for (std::size_t i = range.begin(); i < range.end(); ++i)
            results[i] = toil(results[i], steps);
    });
    const std::int64_t end = bench::now_ns();
    if (results.back() == 0)
        std::exit(1);
    return static_cast<double>(end - start) * 1e-6;
}
#endif

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
    maps.row("map", [&] { return map(pool, square_inline, inputs, {}); });
    maps.row("map of a function pointer", [&] { return map(pool, square, inputs, {}); });
    maps.row("map, chunk size 1",
             [&] { return map(pool, square_inline, inputs, {.chunk_size = 1}); });
    maps.row("submit + get, 20,000 tasks", [&] { return submit(pool); });
    maps.target("map", "two forked workers, static halves", true, 0.5);
    maps.target("map, chunk size 1", "two forked workers, shared index", true, 0.5);
    if (map_by_python()) {
        maps.row("Python's Pool.map, chunk size 1", [] { return map_by_python().value(); });
        maps.target("submit + get, 20,000 tasks", "Python's Pool.map, chunk size 1", true, 50);
    }
    maps.run(rounds);

    bench::Table sums("64 MB of doubles in the arena, 2 workers", "milliseconds");
    mp::RawArray<double> numbers(doubles);
    numbers.fill(1.0);
    auto peers = std::make_unique<ForkedSums>(std::span<const double>(numbers.data(), doubles));
    sums.row("two forked workers, the pure sum", [&] { return peers->milliseconds(); });
    auto sleepers =
        std::make_unique<SleepingSums>(std::span<const double>(numbers.data(), doubles));
    sums.row("two forked workers, asleep before", [&] {
        peers.reset();
        const double time = sleepers->milliseconds();
        peers = std::make_unique<ForkedSums>(std::span<const double>(numbers.data(), doubles));
        return time;
    });
    // The peers wait with yields, which would cost the pool's workers time: they are there only
    // when it is their turn.
    for (const bool as_span : {false, true})
        sums.row(as_span ? "two tasks, spans" : "two tasks, the array", [&, as_span] {
            peers.reset();
            const double time = as_span ? sum_by_spans(pool, {numbers.data(), doubles})
                                        : sum_by_handles(pool, numbers);
            peers = std::make_unique<ForkedSums>(std::span<const double>(numbers.data(), doubles));
            return time;
        });
    sums.target("two tasks, the array", "two forked workers, the pure sum", false, 1.15);
    sums.target("two tasks, spans", "two forked workers, the pure sum", false, 1.15);
    sums.target("two tasks, the array", "two forked workers, asleep before", false, 1.15);
    sums.target("two tasks, spans", "two forked workers, asleep before", false, 1.15);
    sums.run(rounds);
    sleepers.reset();
    peers.reset();

    for (const std::int64_t microseconds : {10, 100}) {
        const int steps = steps_for(microseconds * 1000);
        const auto chunks = static_cast<std::size_t>(20'000 / microseconds);
        bench::Table long_chunks("20 ms of work in chunks of " + std::to_string(microseconds) +
                                     " microseconds, 2 workers",
                                 "milliseconds");
        long_chunks.row("two forked workers, shared index",
                        [&] { return toil_by_forks(steps, static_cast<int>(chunks)); });
        long_chunks.row("map, chunk size 1", [&] { return toil_by_pool(pool, steps, chunks); });
        long_chunks.target("map, chunk size 1", "two forked workers, shared index", false, 1.3);
#ifdef MULTIFORK_BENCH_TBB
        long_chunks.row("tbb::parallel_for", [&] { return toil_by_tbb(steps, chunks); });
        long_chunks.target("map, chunk size 1", "tbb::parallel_for", false, 1.3);
#endif
        long_chunks.run(rounds);
    }
}
