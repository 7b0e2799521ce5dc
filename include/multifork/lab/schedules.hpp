#pragma once

#include <multifork/platform/export.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace multifork::lab {

/// All the orders in which the steps of several processes can follow each other, one after the
/// other.
///
/// \code
///   lab::Schedules all;
///   while (all.next()) {                       // the world is set up anew
///       while (somebody can go on)
///           let go(all.pick(those who can));   // and it is run, step by step
///   }
/// \endcode
///
/// A depth-first search that keeps nothing but the path: each schedule is run from the beginning.
/// So the processes must be deterministic: after the same picks the same ones can go on (as in
/// stateless model checking: Godefroid, "Model Checking for Programming Languages using VeriSoft",
/// POPL 1997).
///
/// \threads   one
/// \cost      memory for one path
class MULTIFORK_API Schedules {
public:
    /// Begins the next schedule. \return false when all have been run
    /// \throws InvalidArgument when the one before ended earlier than the last that began like it
    [[nodiscard]] bool next();
    /// Who makes the next step, of those that can.
    /// \throws InvalidArgument when nobody can, or they are others than last time at this place
    [[nodiscard]] std::size_t pick(std::span<const std::size_t> able);

    /// What has been picked in this schedule so far.
    [[nodiscard]] std::vector<std::size_t> path() const;
    /// How often somebody else was picked than the one before, although that one could have gone
    /// on.
    [[nodiscard]] std::size_t preemptions() const;

private:
    struct Choice {
        std::vector<std::size_t> able;
        std::size_t at = 0;
    };
    std::vector<Choice> choices_;
    std::size_t depth_ = 0;
    bool begun_ = false;
};

/// In how many orders processes with that many steps each can be interleaved when nothing holds any
/// of them back: (a + b + ...)! / (a! b! ...). Empty when that is more than 2^63 - 1.
[[nodiscard]] MULTIFORK_API std::optional<std::int64_t>
count_interleavings(std::span<const std::size_t> steps);

} // namespace multifork::lab
