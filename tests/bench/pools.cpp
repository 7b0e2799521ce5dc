#include "bench.hpp"

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

double sum_of(std::span<const double> numbers) {
    // Four sums at a time: else the latency of one addition is all that is measured.
    std::array<double, 4> sums{};
    for (std::size_t i = 0; i + 4 <= numbers.size(); i += 4)
        for (std::size_t k = 0; k < 4; ++k)
            sums[k] += numbers[i + k];
    return sums[0] + sums[1] + sums[2] + sums[3];
}

/// Milliseconds of two forked workers, which are there, and have touched it, when the clock starts.
class ForkedSums {
public:
    explicit ForkedSums(std::span<const double> numbers) {
        for (std::size_t i = 0; i < 2; ++i) {
            pids_[i] = ::fork();
            if (pids_[i] != 0)
                continue;
            bench::pin(static_cast<int>(i));
            for (int round = 1;; ++round) {
                while (shared_->round != round)
                    ::sched_yield();
                shared_->sums[i] =
                    sum_of(numbers.subspan(i * numbers.size() / 2, numbers.size() / 2));
                ++shared_->done;
            }
        }
        static_cast<void>(milliseconds());
    }
    ~ForkedSums() {
        for (const pid_t pid : pids_) {
            int status = 0;
            ::kill(pid, SIGKILL);
            ::waitpid(pid, &status, 0);
        }
    }
    ForkedSums(const ForkedSums&) = delete;
    ForkedSums& operator=(const ForkedSums&) = delete;

    double milliseconds() {
        shared_->done = 0;
        const std::int64_t start = bench::now_ns();
        ++shared_->round;
        while (shared_->done != 2)
            ::sched_yield();
        return static_cast<double>(bench::now_ns() - start) * 1e-6;
    }

private:
    struct Shared {
        std::atomic<int> round{0};
        std::atomic<int> done{0};
        std::array<double, 2> sums{};
    };
    bench::SharedMemory<Shared> shared_;
    std::array<pid_t, 2> pids_{};
};

/// The same by two that sleep until a byte comes through a pipe, where the scheduler wakes them: it
/// may wake both on one core, whatever the other one does.
class SleepingSums {
public:
    explicit SleepingSums(std::span<const double> numbers) {
        for (Pipe& pipe : pipes_)
            if (::pipe(pipe.data()) != 0)
                std::exit(1);
        for (std::size_t i = 0; i < 2; ++i) {
            pids_[i] = ::fork();
            if (pids_[i] != 0)
                continue;
            for (char byte = 0; ::read(pipes_[i][0], &byte, 1) == 1;) {
                shared_->sums[i] =
                    sum_of(numbers.subspan(i * numbers.size() / 2, numbers.size() / 2));
                if (::write(pipes_[2][1], &byte, 1) != 1)
                    break;
            }
            ::_exit(1);
        }
        static_cast<void>(milliseconds());
    }
    ~SleepingSums() {
        for (const pid_t pid : pids_) {
            int status = 0;
            ::kill(pid, SIGKILL);
            ::waitpid(pid, &status, 0);
        }
        for (const Pipe& pipe : pipes_)
            for (const int end : pipe)
                ::close(end);
    }
    SleepingSums(const SleepingSums&) = delete;
    SleepingSums& operator=(const SleepingSums&) = delete;

    double milliseconds() {
        char byte = 1;
        const std::int64_t start = bench::now_ns();
        for (std::size_t i = 0; i < 2; ++i)
            if (::write(pipes_[i][1], &byte, 1) != 1)
                std::exit(1);
        for (std::size_t i = 0; i < 2; ++i)
            if (::read(pipes_[2][0], &byte, 1) != 1)
                std::exit(1);
        return static_cast<double>(bench::now_ns() - start) * 1e-6;
    }

private:
    using Pipe = std::array<int, 2>;
    struct Shared {
        std::array<double, 2> sums{};
    };
    bench::SharedMemory<Shared> shared_;
    std::array<Pipe, 3> pipes_{}; // to each, and back
    std::array<pid_t, 2> pids_{};
};

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
