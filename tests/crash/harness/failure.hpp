#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace multifork::test::crash {

/// What a survivor found wrong; ends the round.
struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

[[nodiscard]] std::int64_t now_ns();

/// A survivor that has not got on by then hangs. Nothing in these tests is bounded more tightly.
[[nodiscard]] std::int64_t hang_limit_ns();

/// Waits until `condition()` holds. \return false when the hang limit has passed
template <class Condition>
[[nodiscard]] bool await(Condition condition);

void short_pause();

/// Puts this process, and what it forks, on one core, which may be another one next time: a step
/// of a victim is a hand-over there and back, which is quick within a core. Nothing here is about
/// what two do at the same time.
void stay_on_one_core();

template <class Condition>
bool await(Condition condition) {
    const std::int64_t until = now_ns() + hang_limit_ns();
    // Where the core itself was away so long, those who are waited for get a turn yet.
    int late_looks = 0;
    while (!condition()) {
        if (now_ns() > until && ++late_looks > 1'000)
            return false;
        short_pause();
    }
    return true;
}

} // namespace multifork::test::crash
