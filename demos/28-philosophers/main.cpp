// Philosophers at a round table, a fork between each two. Each takes the fork on its left and then
// waits for the one on its right, which the neighbour holds.

#include "toolkit/race_main.hpp"

#include <multifork/channel/value.hpp>
#include <multifork/lab/wait_board.hpp>
#include <multifork/sync/lock.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

namespace {

namespace mp = multifork;
using namespace demo;
using namespace std::chrono_literals;

constexpr std::array<const char*, 8> guests{"Plato", "Kant", "Hume",  "Locke",
                                            "Marx",  "Mill", "Hegel", "Thales"};

struct Sentence {
    std::array<char, 240> text{};
};

class Dinner : public Race {
public:
    Dinner(bool cured, std::size_t count)
        : cured_(cured), count_(count), forks_(count), board_(count) {}

    std::vector<std::string> lanes() const override {
        return {guests.begin(), guests.begin() + static_cast<std::ptrdiff_t>(count_)};
    }
    Names names() const override {
        Names names;
        for (std::size_t i = 0; i < count_; ++i)
            names.objects.push_back(fmt::format("{}", i + 1)); // many lanes: short words
        names.objects.emplace_back("eat");
        names.objects.emplace_back("!gives up");
        names.acquire = "take";
        names.release = "drop";
        return names;
    }
    void set_up() override {
        give_up_.store(0);
        circle_.store({});
    }
    void work(std::size_t me, Actor& actor) override {
        std::size_t first = me;
        std::size_t second = (me + 1) % count_;
        if (cured_ && first > second)
            std::swap(first, second); // everybody takes the lower number first
        static_cast<void>(take(first, me, actor));
        if (!actor.is_gated())
            std::this_thread::yield(); // looks up from the plate
        if (take(second, me, actor)) {
            actor.compute(static_cast<std::uint16_t>(count_));
            actor.release(forks_[second], static_cast<std::uint16_t>(second));
        }
        actor.release(forks_[first], static_cast<std::uint16_t>(first));
    }
    Verdict judge(const std::vector<std::size_t>& stuck) override {
        if (!stuck.empty())
            note_circle();
        const Sentence circle = circle_.load();
        if (circle.text[0] != '\0')
            return {true, circle.text.data()};
        if (!stuck.empty())
            return {true, "They hang, but not in a circle."};
        return {false, "Everybody has eaten."};
    }
    std::vector<std::size_t> bad_schedule() const override {
        std::vector<std::size_t> all;
        for (std::size_t i = 0; i < count_; ++i)
            all.push_back(i); // each its first fork
        return all;
    }
    bool can_go(std::size_t, const mp::lab::Step& step) override {
        return step.access != mp::lab::Access::acquire || !forks_[step.object].owner();
    }
    std::string stuck_text(std::size_t, const mp::lab::Step& step) override {
        return fmt::format("needs {}", step.object + 1);
    }
    void watch() override {
        if (give_up_.load() == 0 && note_circle())
            give_up_.store(1);
    }

private:
    static std::string fork_name(std::size_t fork) { return fmt::format("fork {}", fork + 1); }

    /// \return false when it was told to give up
    bool take(std::size_t fork, std::size_t me, Actor& actor) {
        const auto waiting = board_.waits(me, fork);
        bool taken = true;
        const auto name = static_cast<std::uint16_t>(fork);
        if (actor.is_gated() || forks_[fork].try_lock()) {
            if (actor.is_gated())
                actor.acquire(forks_[fork], name);
            else
                actor.act(Actor::Access::acquire, name, [] { return 0; });
            return true;
        }
        const std::int64_t begin = mp::platform::monotonic_ns();
        // In a deadlock nobody comes back by itself. These look up now and then, so that the demo
        // can end the dinner once it has found the circle.
        while (!(taken = forks_[fork].try_lock_for(5ms)) && give_up_.load() == 0) {
        }
        if (taken)
            actor.note(Actor::Access::acquire, name, 0, begin, mp::platform::monotonic_ns());
        else
            actor.note(Actor::Access::mark, static_cast<std::uint16_t>(count_ + 1),
                       static_cast<std::int64_t>(fork), begin, mp::platform::monotonic_ns());
        return taken;
    }
    /// Looks for a circle and keeps what it says. \return whether there was one
    bool note_circle() {
        const auto circle = board_.find_circle(forks_);
        if (circle.empty())
            return false;
        std::string text;
        for (const mp::lab::WaitsFor& edge : circle)
            text += fmt::format("{}{} waits for {}, held by {}", text.empty() ? "" : "; ",
                                guests[edge.waiter], fork_name(edge.lock), guests[edge.holder]);
        text += '.';
        if (text.size() >= sizeof(Sentence))
            text = fmt::format("{} philosophers wait for each other in a circle.", circle.size());
        Sentence sentence;
        text.copy(sentence.text.data(), sentence.text.size() - 1);
        circle_.store(sentence);
        return true;
    }

    bool cured_;
    std::size_t count_;
    std::vector<mp::Lock> forks_;
    mp::lab::WaitBoard board_;
    mp::Value<int> give_up_{0};
    mp::Value<Sentence> circle_;
};

} // namespace

int main(int argc, char** argv) {
    RaceDemo dinner;
    dinner.name = "philosophers";
    dinner.summary = "Philosophers at a round table need two forks each: taken left first, which\n"
                     "deadlocks, and taken in the order of their numbers, which cannot.\n";
    dinner.title = "Philosophers take one fork, and wait for the other";
    dinner.lead = "There are as many forks as philosophers. Each takes the fork on its left, then "
                  "the one on its right, eats, and puts both back. A deadlock is found, not "
                  "guessed: the locks say who holds them, a board in shared memory says who waits "
                  "for which.";
    dinner.without = "left fork first";
    dinner.with = "lower number first";
    dinner.wrong = "deadlocks";
    dinner.rounds = 5'000;
    dinner.moral = "A deadlock needs a circle of waiting. If everybody takes locks in one and the "
                   "same order, there is none: of those who hold something, the one with the "
                   "highest fork can always go on.";
    dinner.processes = 5;
    dinner.least_processes = 2;
    dinner.most_processes = 8;
    dinner.make = [](bool cured, std::size_t count) {
        return std::make_unique<Dinner>(cured, count);
    };
    return race_main(dinner, argc, argv);
}
