#pragma once

#include "toolkit/race.hpp"

#include <multifork/channel/value.hpp>
#include <multifork/sync/lock.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace demo {

/// One step of one process.
struct Instruction {
    enum class Op { load, add, require, store, acquire, release };
    Op op = Op::load;
    std::uint16_t object = 0; ///< a number, or a lock
    /// add: so much to the number that was loaded. require: if it is less, skip what follows, up to
    /// the release of a lock. store: if not 0, this instead of what was loaded.
    std::int64_t value = 0;
};
using Instructions = std::vector<Instruction>;

constexpr std::size_t most_numbers = 4;
constexpr std::size_t most_processes = 3;
using Numbers = std::array<std::int64_t, most_numbers>;

/// What the processes have done in the end.
struct Ending {
    Numbers numbers{};
    std::array<Numbers, most_processes> copies{}; ///< what each had loaded last
    std::array<bool, most_processes> skipped{};   ///< a `require` did not hold
    std::vector<std::size_t> stuck;
};

/// A small program for several processes, to be gone through step by step.
struct Program {
    std::string name;
    std::string what; ///< one line, for --help
    std::vector<std::string> numbers;
    Numbers initial{};
    std::vector<std::string> locks;
    std::function<std::vector<Instructions>(std::size_t processes, bool locked)> instructions;
    std::function<Race::Verdict(const Ending&, std::size_t processes)> judge;
    std::string without = "without lock";
    std::string with = "with lock";
};

[[nodiscard]] const std::vector<Program>& all_programs();

/// "load counter", "counter + 1", ...
[[nodiscard]] std::string text_of(const Program& program, const Instruction& instruction);

/// The program as a race of real processes.
class ProgramRace : public Race {
public:
    ProgramRace(const Program& program, std::size_t processes, bool locked);

    [[nodiscard]] std::vector<std::string> lanes() const override;
    [[nodiscard]] Names names() const override;
    void set_up() override;
    void work(std::size_t me, Actor& actor) override;
    [[nodiscard]] Verdict judge(const std::vector<std::size_t>& stuck) override;
    [[nodiscard]] std::vector<std::size_t> bad_schedule() const override { return {}; }
    [[nodiscard]] bool can_go(std::size_t part, const multifork::lab::Step& step) override;
    [[nodiscard]] std::string stuck_text(std::size_t, const multifork::lab::Step& step) override;
    void annotate(Chronicle& told) override;

    /// Steps of each process at most.
    [[nodiscard]] std::vector<std::size_t> steps() const;
    /// What that process is about to do.
    [[nodiscard]] std::string next_text(const multifork::lab::Step& step) const;

private:
    [[nodiscard]] std::uint16_t lock_object(std::uint16_t lock) const;

    const Program& program_;
    std::size_t processes_;
    std::vector<Instructions> code_;
    std::vector<multifork::Value<std::int64_t>> numbers_;
    std::vector<multifork::Lock> locks_;
    std::array<multifork::Value<Numbers>, most_processes> copies_;
    std::array<multifork::Value<int>, most_processes> skipped_;
};

} // namespace demo
