#pragma once

#include "crash/harness/scenario.hpp"

// Two processes in the middle of their operations, one of which dies.

namespace multifork::test::crash {

class PairRound;

/// A and B each do an operation. The one that goes first stands still after some instructions of
/// it, then the other one does some, then A is killed and B goes on.
///
/// For each k and j: set_up; A does k and B does j instructions, in the order that `order` says;
/// SIGKILL to A; check.
struct Pair {
    enum class Order : std::uint8_t { a_first, b_first };

    std::string name; ///< what it is called, and who goes first, is printed
    Order order = Order::a_first;
    Action set_up;
    Action prepare_a = {};
    Action a;
    Action prepare_b = {};
    Job b;
    Action all_forked = {}; ///< in the test, before A and B do anything
    std::function<void(PairRound&)> check;
    std::function<std::string()> state = {};
    /// When A's operation has returned, B must get on although A lives: check comes before the
    /// kill.
    bool b_before_the_kill = false;
};

class PairRound {
public:
    /// Whether A's operation had returned when A died.
    [[nodiscard]] bool a_finished() const { return a_finished_; }
    /// Lets B run to its end, and gives its result. \throws Failure with `otherwise` if it hangs
    std::uint64_t b_ends(std::string_view otherwise);
    /// Whether B is at its end, or asleep, by now; waits until one of these is so.
    [[nodiscard]] Place b_rests();

private:
    friend struct PairCampaign;
    Victim* b_ = nullptr;
    std::uint64_t* result_ = nullptr;
    bool a_finished_ = false;
};

[[nodiscard]] Report run(const Pair& pair, const Density& density);

} // namespace multifork::test::crash
