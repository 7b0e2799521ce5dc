#pragma once

#include <multifork/pool/parallel.hpp>

#include <ranges>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

// What the tests of Parallel run.

namespace multifork::test::parallel_jobs {

inline int square(int x) {
    return x * x;
}
inline int fails_at(int x, int bad) {
    if (x == bad)
        throw std::out_of_range("bad " + std::to_string(x));
    return x;
}
inline int own_pid() {
    return ::getpid();
}
/// delayed(square)(from), ... as a lazy range.
inline auto squares(int from, int to) {
    return std::views::iota(from, to) |
           std::views::transform([](int x) { return multifork::delayed(square)(x); });
}
inline std::vector<int> expected_squares(int from, int to) {
    std::vector<int> all;
    for (int x = from; x < to; ++x)
        all.push_back(x * x);
    return all;
}

inline const std::vector<ParallelBackend> backends{
    ParallelBackend::processes, ParallelBackend::threads, ParallelBackend::sequential};

} // namespace multifork::test::parallel_jobs
