#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace demo {

/// The ways to add one to a number that several processes share.
enum class Variant { no_lock, lock, semaphore, atomic };

[[nodiscard]] std::string name_of(Variant variant);
[[nodiscard]] inline bool is_protected(Variant variant) {
    return variant != Variant::no_lock;
}

/// What came out when several processes did it at once.
struct Outcome {
    Variant variant{};
    std::int64_t expected = 0;
    std::int64_t got = 0;
    double ns_each = 0;              ///< time for all increments, divided by their number
    std::vector<std::string> fallen; ///< processes that did not live to the end

    [[nodiscard]] std::int64_t lost() const { return expected - got; }
    [[nodiscard]] double lost_percent() const {
        return 100.0 * static_cast<double>(lost()) / static_cast<double>(expected);
    }
};

/// \param watch  called now and then with what the counter says meanwhile
[[nodiscard]] Outcome race(Variant variant, int processes, int increments,
                           const std::function<void(int)>& watch);

} // namespace demo
