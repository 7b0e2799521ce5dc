#pragma once

#include "bench.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

/// \file
/// The pure sum of an array by two forked workers: those that a pool's workers are measured beside.

namespace bench {

inline double sum_of(std::span<const double> numbers) {
    // Four sums at a time: else the latency of one addition is all that is measured.
    std::array<double, 4> sums{};
    for (std::size_t i = 0; i + 4 <= numbers.size(); i += 4)
        for (std::size_t k = 0; k < 4; ++k)
            sums[k] += numbers[i + k];
    return sums[0] + sums[1] + sums[2] + sums[3];
}

inline void kill_all(std::span<const pid_t> pids) {
    for (const pid_t pid : pids) {
        int status = 0;
        ::kill(pid, SIGKILL);
        ::waitpid(pid, &status, 0);
    }
}

/// Milliseconds of two forked workers, which are there, and have touched it, when the clock starts.
class ForkedSums {
public:
    explicit ForkedSums(std::span<const double> numbers) {
        for (std::size_t i = 0; i < 2; ++i) {
            pids_[i] = ::fork();
            if (pids_[i] != 0)
                continue;
            pin(static_cast<int>(i));
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
    ~ForkedSums() { kill_all(pids_); }
    ForkedSums(const ForkedSums&) = delete;
    ForkedSums& operator=(const ForkedSums&) = delete;

    double milliseconds() {
        shared_->done = 0;
        const std::int64_t start = now_ns();
        ++shared_->round;
        while (shared_->done != 2)
            ::sched_yield();
        return static_cast<double>(now_ns() - start) * 1e-6;
    }

private:
    struct Shared {
        std::atomic<int> round{0};
        std::atomic<int> done{0};
        std::array<double, 2> sums{};
    };
    SharedMemory<Shared> shared_;
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
        kill_all(pids_);
        for (const Pipe& pipe : pipes_)
            for (const int end : pipe)
                ::close(end);
    }
    SleepingSums(const SleepingSums&) = delete;
    SleepingSums& operator=(const SleepingSums&) = delete;

    double milliseconds() {
        char byte = 1;
        const std::int64_t start = now_ns();
        for (std::size_t i = 0; i < 2; ++i)
            if (::write(pipes_[i][1], &byte, 1) != 1)
                std::exit(1);
        for (std::size_t i = 0; i < 2; ++i)
            if (::read(pipes_[2][0], &byte, 1) != 1)
                std::exit(1);
        return static_cast<double>(now_ns() - start) * 1e-6;
    }

private:
    using Pipe = std::array<int, 2>;
    struct Shared {
        std::array<double, 2> sums{};
    };
    SharedMemory<Shared> shared_;
    std::array<Pipe, 3> pipes_{}; // to each, and back
    std::array<pid_t, 2> pids_{};
};

} // namespace bench
