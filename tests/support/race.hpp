#pragma once

#include <barrier>
#include <cstddef>
#include <thread>
#include <vector>

/// \file
/// For tests of what keeps threads and processes apart. They must fail without it: so all begin
/// together, and let others run in the middle of what they do. (A short loop is over before the
/// next thread has begun.)

namespace multifork::test {

/// Adds one to a Value or a std::atomic in two steps; of two who do it at once, one is lost.
template <class Number>
void increment_in_two_steps(Number& number) {
    const auto before = number.load();
    std::this_thread::yield();
    number.store(before + 1);
}

/// Runs `work` in so many threads; none begins before all are there.
template <class Work>
void race_in_threads(std::size_t count, Work work) {
    std::barrier<> start(static_cast<std::ptrdiff_t>(count));
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < count; ++i)
        threads.emplace_back([&] {
            start.arrive_and_wait();
            work();
        });
}

} // namespace multifork::test
