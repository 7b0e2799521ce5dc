#pragma once

#include "toolkit/race.hpp"
#include "toolkit/sign.hpp"

#include <multifork/channel/value.hpp>
#include <multifork/process/process.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace demo {

/// The processes of a race behind step gates. They do one round after the other; in a round, the
/// caller says who makes each step.
///
/// \code
///   GatedTeam team(race);
///   team.begin_round();
///   while (!team.able().empty()) team.go(team.able().front());
/// \endcode
///
/// A process that dies is noticed at once: see fallen(). Then no more rounds can be run, nor after
/// one that ended with stuck processes.
class GatedTeam {
public:
    explicit GatedTeam(Race& race);
    ~GatedTeam();
    GatedTeam(const GatedTeam&) = delete;
    GatedTeam& operator=(const GatedTeam&) = delete;

    void begin_round();
    /// Those that can make a step now; empty at the end of the round.
    [[nodiscard]] const std::vector<std::size_t>& able() const { return able_; }
    [[nodiscard]] multifork::lab::Step next(std::size_t part) const { return gate_.next(part); }
    /// Lets one of those make its step, and waits until it has.
    void go(std::size_t part);
    /// After the round: those that are in the middle of it for ever.
    [[nodiscard]] const std::vector<std::size_t>& stuck() const { return stuck_; }
    [[nodiscard]] const std::vector<std::string>& fallen() const { return fallen_; }
    [[nodiscard]] bool is_usable() const { return stuck_.empty() && fallen_.empty(); }
    [[nodiscard]] const multifork::ProcessHandle& process(std::size_t part) const {
        return processes_[part];
    }

    /// What they did in this round, and how it ended, if it has ended.
    [[nodiscard]] Chronicle chronicle(const Race::Verdict& verdict = {});

private:
    void be_part(std::size_t me, Sign& sign);
    /// Waits until no process moves.
    void settle();
    [[nodiscard]] bool settle(std::size_t part, bool may_sleep);
    void find_able();
    [[nodiscard]] bool is_at_rest(std::size_t part) const;

    Race& race_;
    std::vector<std::string> lanes_;
    multifork::lab::StepGate gate_;
    multifork::lab::Trace trace_;
    multifork::Value<int> over_{0};
    std::vector<multifork::Process> processes_;
    std::vector<bool> asleep_;
    std::vector<std::size_t> able_;
    std::vector<std::size_t> stuck_;
    std::vector<std::string> fallen_;
};

} // namespace demo
