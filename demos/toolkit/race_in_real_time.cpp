#include "toolkit/race.hpp"
#include "toolkit/team.hpp"

#include <multifork/channel/value.hpp>
#include <multifork/process/process.hpp>
#include <multifork/sync/barrier.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>

namespace demo {
namespace mp = multifork;
using namespace std::chrono_literals;
namespace {

struct Sentence {
    std::array<char, 240> text{};
};

/// What the processes of one race share besides the race itself.
///
/// They meet at a barrier before each round. The last one there looks at the round before and sets
/// up the next. Nobody but the processes themselves takes part, and they begin within a few
/// nanoseconds of each other if there are enough processors. The barrier breaks when one of them
/// dies.
class Rounds {
public:
    Rounds(Race& race, std::int64_t rounds, double seconds)
        : race_(race), parts_(static_cast<std::int64_t>(race.lanes().size())), rounds_(rounds),
          until_(mp::platform::monotonic_ns() + static_cast<std::int64_t>(seconds * 1e9)),
          barrier_(race.lanes().size(), [this] { between(); }) {}

    /// \return false when there is no round any more
    bool meet(std::int64_t round) {
        barrier_.arrive_and_wait();
        if (stop_.load() != 0)
            return false;
        // Sleepers do not wake at the same instant: wait for the others awake, but not for long,
        // because one of them may have been interrupted, or killed.
        awake_.fetch_add(1);
        const std::int64_t give_up = mp::platform::monotonic_ns() + 50'000;
        while (awake_.load() < parts_ * round && mp::platform::monotonic_ns() < give_up) {
        }
        return true;
    }
    [[nodiscard]] bool is_recording() const { return frozen_.load() == 0; }
    [[nodiscard]] std::int64_t done() const { return done_.load(); }
    [[nodiscard]] std::int64_t wrong() const { return wrong_.load(); }
    [[nodiscard]] bool kept_a_wrong_one() const { return kept_wrong_.load() != 0; }
    [[nodiscard]] std::string verdict() { return verdict_.load().text.data(); }

private:
    void between() {
        const std::int64_t done = met_.fetch_add(1);
        if (done > 0) {
            const Race::Verdict verdict = race_.judge({});
            done_.store(done);
            if (verdict.wrong)
                wrong_.fetch_add(1);
            const bool last = done >= rounds_ || mp::platform::monotonic_ns() > until_;
            if (frozen_.load() == 0 && (verdict.wrong || last)) {
                Sentence sentence;
                verdict.text.copy(sentence.text.data(), sentence.text.size() - 1);
                verdict_.store(sentence);
                kept_wrong_.store(verdict.wrong ? 1 : 0);
                frozen_.store(1);
            }
            if (last) {
                stop_.store(1);
                return;
            }
        }
        race_.set_up();
    }

    Race& race_;
    std::int64_t parts_;
    std::int64_t rounds_;
    std::int64_t until_;
    mp::Barrier barrier_;
    mp::Value<std::int64_t> met_{0};
    mp::Value<std::int64_t> awake_{0};
    mp::Value<std::int64_t> stop_{0};
    mp::Value<std::int64_t> done_{0};
    mp::Value<std::int64_t> wrong_{0};
    mp::Value<std::int64_t> frozen_{0}; ///< the traces stay as they are
    mp::Value<std::int64_t> kept_wrong_{0};
    mp::Value<Sentence> verdict_;
};

} // namespace

Tally race_in_real_time(Race& race, std::int64_t rounds, double seconds,
                        const std::function<void(double)>& watch) {
    const std::vector<std::string> lanes = race.lanes();
    const mp::lab::Trace trace(lanes.size(), race.steps_at_most());
    Rounds board(race, rounds, seconds);
    const std::int64_t begin = mp::platform::monotonic_ns();

    std::vector<mp::Process> team;
    for (std::size_t i = 0; i < lanes.size(); ++i)
        team.emplace_back(mp::ProcessOptions{.name = lanes[i], .daemon = true}, [&, i] {
            Actor actor(trace.lane(i), std::nullopt);
            for (std::int64_t round = 1; board.meet(round); ++round) {
                actor.begin_round(board.is_recording());
                race.work(i, actor);
            }
        });
    for (auto& process : team)
        process.start();

    Tally tally;
    const auto note_fallen = [&] {
        for (const auto& process : team)
            if (auto line = process.is_alive() ? "" : how_it_fell(process); !line.empty())
                tally.fallen.push_back(std::move(line));
    };
    for (auto& process : team)
        while (!process.try_join_for(2ms)) {
            race.watch();
            watch(static_cast<double>(board.done()) / static_cast<double>(rounds));
            if (tally.fallen.empty())
                note_fallen();
            // The others would wait for it, some of them asleep.
            for (auto& other : team)
                if (!tally.fallen.empty())
                    other.kill();
        }
    if (tally.fallen.empty())
        note_fallen();
    tally.took_ns = mp::platform::monotonic_ns() - begin;
    tally.rounds = board.done();
    tally.wrong = board.wrong();
    if (tally.rounds > 0) {
        tally.example = chronicle_of(trace, lanes, race.names());
        tally.example->verdict = board.verdict();
        tally.example->went_wrong = board.kept_a_wrong_one();
        race.annotate(*tally.example);
    }
    return tally;
}

} // namespace demo
