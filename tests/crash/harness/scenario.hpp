#pragma once

#include "crash/harness/failure.hpp"
#include "crash/harness/partner.hpp"
#include "crash/harness/victim.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// Kill at every instruction: what a test declares, and what runs it.

namespace multifork::test::crash {

class Round;

/// One operation in which a process dies, and what is around it.
///
/// For each k: set_up; the `early` partners set out and fall asleep; the victim does k instructions
/// of the operation; the `late` partners set out and come to rest; at_kill; SIGKILL; check.
///
/// With `wake` the victim first falls asleep in the operation, then the `behind` partners fall
/// asleep behind it, and `wake` is what wakes it; the k instructions are counted from there.
struct Scenario {
    std::string name;
    Action set_up;                           ///< in the test: fresh objects
    Action prepare = {};                     ///< in the victim, before the marker
    Action operation;                        ///< in the victim
    Action all_forked = {};                  ///< in the test, before anybody sets out
    std::vector<Job> early = {};             ///< partners
    Action wake = {};                        ///< in the test
    std::vector<Job> behind = {};            ///< partners
    std::vector<Job> late = {};              ///< partners
    Action at_kill = {};                     ///< in the test, while the victim stands at k
    std::function<void(Round&)> check;       ///< in the test, when the victim is dead
    std::function<std::string()> state = {}; ///< what to print with a failure
    /// When the operation has returned, everybody must get on although the victim lives: its death
    /// would ring, and so hide a wake-up that it has forgotten. The check then comes before the
    /// kill.
    bool nothing_owed_at_the_end = false;
};

/// What check() sees of the round.
class Round {
public:
    /// Whether the operation had returned when the victim died.
    [[nodiscard]] bool finished() const { return place_ == Place::finished; }
    [[nodiscard]] bool died_asleep() const { return place_ == Place::asleep; }
    [[nodiscard]] unsigned long steps() const { return steps_; }
    /// Whether the victim went another way than the path said.
    [[nodiscard]] bool strayed() const { return strayed_; }

    /// early, behind, late, in this order
    [[nodiscard]] Partner& partner(std::size_t i) { return *partners_.at(i); }
    [[nodiscard]] std::size_t partner_count() const { return partners_.size(); }
    /// Waits for the partner to be done. \throws Failure with `otherwise` when it hangs
    std::uint64_t result_of(std::size_t i, std::string_view otherwise);
    /// Waits for all of them. \throws Failure with `otherwise` when one hangs
    void expect_all_done(std::string_view otherwise);
    /// How many partners are done now.
    [[nodiscard]] std::size_t partners_done() const;

    [[nodiscard]] std::string describe_partners() const;

private:
    friend class Campaign;
    void run(const Scenario& scenario, unsigned long k, Path& path);

    std::vector<std::unique_ptr<Partner>> partners_;
    Place place_ = Place::standing;
    unsigned long steps_ = 0;
    bool strayed_ = false;
};

/// \throws Failure
void require(bool condition, std::string_view otherwise);

/// What a campaign came to.
struct Report {
    std::string name;
    unsigned long instructions = 0; ///< of the operation, the pair's: of A
    unsigned long kills = 0;
    unsigned long strayed = 0; ///< kills elsewhere than meant, done again by single steps
    double seconds = 0;
    std::vector<std::string> failures;
};

/// How dense the kills are, and when to give up.
///
/// Where not every instruction gets its kill, the others get theirs in other runs: see places_in().
struct Density {
    /// About so many kills, evenly spread over the operation; 0: at every instruction.
    unsigned long kills = 0;
    /// For pairs: about so many places for B.
    unsigned long partner_places = 0;
    std::size_t stop_after_failures = 3;
};

[[nodiscard]] Report run(const Scenario& scenario, const Density& density);

/// 0, `length`, and about `count` places between them (0: all), evenly spread. Where they begin
/// differs from run to run: the seed is the time, or what MULTIFORK_CRASH_SEED says.
[[nodiscard]] std::vector<unsigned long> places_in(unsigned long length, unsigned long count);
/// A number below `end` that depends on the seed.
[[nodiscard]] unsigned long seeded(unsigned long end);

} // namespace multifork::test::crash
