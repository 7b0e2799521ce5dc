#pragma once

#include <multifork/platform/clock.hpp>

#include <fmt/format.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <new>
#include <string>
#include <utility>
#include <vector>

/// \file
/// What the benchmarks share. A table's rows are measured in turn, round after round, so that a
/// disturbance of the machine hits all of them; a row's figure is the median of its rounds, and
/// what counts is the ratio of two rows of one run.

namespace bench {

inline std::int64_t now_ns() {
    return multifork::platform::monotonic_ns();
}

/// Binds the calling process to one of the cpus that it may use.
inline void pin(int which) {
    static const cpu_set_t allowed = [] {
        cpu_set_t set;
        CPU_ZERO(&set);
        ::sched_getaffinity(0, sizeof set, &set);
        return set;
    }();
    const int count = CPU_COUNT(&allowed);
    int wanted = which % count;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(static_cast<std::size_t>(cpu), &allowed))
            continue;
        if (wanted-- > 0)
            continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(static_cast<std::size_t>(cpu), &one);
        ::sched_setaffinity(0, sizeof one, &one);
        return;
    }
}

/// A T in memory that forked children share, for the peers; our own objects need none of this.
template <class T>
class SharedMemory {
public:
    template <class... Args>
    explicit SharedMemory(Args&&... args) {
        void* place =
            ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (place == MAP_FAILED)
            std::abort();
        object_ = new (place) T(std::forward<Args>(args)...);
    }
    ~SharedMemory() { ::munmap(object_, sizeof(T)); }
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;
    T* operator->() const { return object_; }
    T& operator*() const { return *object_; }

private:
    T* object_;
};

/// Runs the workers in processes of their own, worker i bound to cpu i, from a common start.
/// \return seconds from the start until the last has ended
inline double run_processes(const std::vector<std::function<void()>>& workers) {
    struct Gate {
        std::atomic<int> ready{0};
        std::atomic<bool> open{false};
    };
    SharedMemory<Gate> gate;
    std::vector<pid_t> pids;
    for (std::size_t i = 0; i < workers.size(); ++i) {
        const pid_t pid = ::fork();
        if (pid == 0) {
            pin(static_cast<int>(i));
            ++gate->ready;
            while (!gate->open)
                ::sched_yield();
            workers[i]();
            ::_exit(0);
        }
        pids.push_back(pid);
    }
    while (gate->ready < static_cast<int>(workers.size()))
        ::sched_yield();
    const std::int64_t start = now_ns();
    gate->open = true;
    for (const pid_t pid : pids) {
        int status = 0;
        ::waitpid(pid, &status, 0);
        if (status != 0) {
            fmt::print(stderr, "a benchmark's worker ended with status {}\n", status);
            std::exit(1);
        }
    }
    return static_cast<double>(now_ns() - start) * 1e-9;
}

struct Row {
    std::string name;
    std::function<double()> measure;
    std::vector<double> figures = {};

    [[nodiscard]] double median() const {
        std::vector<double> sorted = figures;
        std::sort(sorted.begin(), sorted.end());
        return sorted[sorted.size() / 2];
    }
    [[nodiscard]] double least() const { return *std::min_element(figures.begin(), figures.end()); }
    [[nodiscard]] double most() const { return *std::max_element(figures.begin(), figures.end()); }
};

/// A target: a ratio of two rows, and what it must be.
struct Target {
    std::string row;
    std::string reference;
    bool at_least;
    double bound;
};

class Table {
public:
    Table(std::string title, std::string unit) : title_(std::move(title)), unit_(std::move(unit)) {}

    void row(std::string name, std::function<double()> measure) {
        rows_.push_back({std::move(name), std::move(measure)});
    }
    void target(std::string row, std::string reference, bool at_least, double bound) {
        targets_.push_back({std::move(row), std::move(reference), at_least, bound});
    }

    void run(int rounds) {
        for (int i = 0; i < rounds; ++i)
            for (Row& row : rows_)
                row.figures.push_back(row.measure());
        fmt::print("{} ({}; median of {}, least and most)\n", title_, unit_, rounds);
        for (const Row& row : rows_)
            fmt::print("  {:<44} {:>10.2f}   {:>9.2f} .. {:.2f}\n", row.name, row.median(),
                       row.least(), row.most());
        for (const Target& target : targets_) {
            const double ratio = find(target.row).median() / find(target.reference).median();
            const bool met = target.at_least ? ratio >= target.bound : ratio <= target.bound;
            fmt::print("  {} / {}: {:.2f}, wanted {} {:.2f}: {}\n", target.row, target.reference,
                       ratio, target.at_least ? ">=" : "<=", target.bound, met ? "met" : "MISSED");
        }
        fmt::print("\n");
    }

private:
    [[nodiscard]] const Row& find(const std::string& name) const {
        return *std::find_if(rows_.begin(), rows_.end(),
                             [&](const Row& row) { return row.name == name; });
    }

    std::string title_;
    std::string unit_;
    std::vector<Row> rows_;
    std::vector<Target> targets_;
};

/// Rounds from the command line: `bench-locks 9`.
inline int rounds(int argc, char** argv, int otherwise) {
    return argc > 1 ? std::max(1, std::atoi(argv[1])) : otherwise;
}

} // namespace bench
