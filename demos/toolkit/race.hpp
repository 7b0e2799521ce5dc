#pragma once

#include "toolkit/actor.hpp"
#include "toolkit/chronicle.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace demo {

/// Something that goes wrong, or does not, when several processes do it at once. A demo derives
/// from it, once for both ways: without the cure and with it.
///
/// What the processes share are members of it that lie in shared memory (Value, Lock, ...).
class Race {
public:
    struct Verdict {
        bool wrong = false;
        std::string text; ///< one sentence, 200 characters at most
    };

    Race() = default;
    Race(const Race&) = delete;
    Race& operator=(const Race&) = delete;
    virtual ~Race() = default;

    /// The processes' names; as many as there are.
    [[nodiscard]] virtual std::vector<std::string> lanes() const = 0;
    [[nodiscard]] virtual Names names() const = 0;
    /// Before each round, while no process works.
    virtual void set_up() = 0;
    /// One round of that process. Before its first step it touches nothing that is shared.
    virtual void work(std::size_t me, Actor& actor) = 0;
    /// After each round, while no process works; \param stuck  those that cannot go on any more
    [[nodiscard]] virtual Verdict judge(const std::vector<std::size_t>& stuck) = 0;

    /// For --step: who makes the next step, again and again; one that cannot is passed over, and
    /// when the list is at its end they take turns.
    [[nodiscard]] virtual std::vector<std::size_t> bad_schedule() const = 0;
    /// For --step: whether that step would not have to wait for anything.
    [[nodiscard]] virtual bool can_go(std::size_t, const multifork::lab::Step&) { return true; }
    /// For --step: whether the process sleeps within its step (Access::wait) and cannot come out by
    /// itself.
    [[nodiscard]] virtual bool sleeps(std::size_t) { return false; }
    /// What one that is stuck before that step says in the picture.
    [[nodiscard]] virtual std::string stuck_text(std::size_t, const multifork::lab::Step&) {
        return "waits for ever";
    }

    /// For real timing: looks after those that hang, now and then, in the demo's main process.
    virtual void watch() {}
    /// Marks what went wrong, in a round that may have been followed by others: what was then is in
    /// the chronicle, verdict included, and not in the race's own members any more.
    virtual void annotate(Chronicle&) {}
    [[nodiscard]] virtual std::size_t steps_at_most() const { return 256; }
};

/// How often it went wrong.
struct Tally {
    std::int64_t rounds = 0;
    std::int64_t wrong = 0;
    std::int64_t took_ns = 0;
    std::optional<Chronicle> example; ///< of the first wrong round, or else of the last one
    std::vector<std::string> fallen;  ///< processes that did not end as they should
};

using MakeRace = std::function<std::unique_ptr<Race>(bool cured)>;

/// Rounds with real timing: the processes begin each one at the same moment.
/// \param seconds  after that long no more are begun
[[nodiscard]] Tally race_in_real_time(Race& race, std::int64_t rounds, double seconds,
                                      const std::function<void(double)>& watch);

/// Rounds in the order that the race's bad_schedule() wants, through step gates.
[[nodiscard]] Tally race_by_steps(const MakeRace& make, bool cured, std::int64_t rounds,
                                  const std::function<void(double)>& watch);

} // namespace demo
