#pragma once

#include <atomic>
#include <cstddef>
#include <numeric>
#include <vector>

/// \file
/// What threads of a pool are given to do in tests.

namespace multifork::test {

inline int square(int x) {
    return x * x;
}

/// What tasks wait for.
class Gate {
public:
    void open() {
        open_.store(true);
        open_.notify_all();
    }
    void pass() const { open_.wait(false); }

private:
    std::atomic<bool> open_{false};
};

/// 0, 1, 2, ...
inline std::vector<int> numbers(int count) {
    std::vector<int> all(static_cast<std::size_t>(count));
    std::iota(all.begin(), all.end(), 0);
    return all;
}

} // namespace multifork::test
