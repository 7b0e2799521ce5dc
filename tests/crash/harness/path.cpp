#include "crash/harness/path.hpp"

#include <algorithm>

namespace multifork::test::crash {

std::size_t Path::landmark(std::size_t from, std::size_t to) const {
    const auto after = std::upper_bound(landmarks_.begin(), landmarks_.end(), to);
    if (after == landmarks_.begin())
        return from;
    return std::max(from, *std::prev(after));
}

std::size_t Path::fork_between(std::size_t from, std::size_t to) const {
    const auto next = std::lower_bound(forks_.begin(), forks_.end(), from);
    return next == forks_.end() ? to : std::min(to, *next);
}

} // namespace multifork::test::crash
