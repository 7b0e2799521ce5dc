// One process waits for a flag, asleep; another sets the flag and wakes it. A wake-up that comes
// between the look at the flag and the sleep is lost.

#include "toolkit/race_main.hpp"

#include <multifork/channel/value.hpp>
#include <multifork/process/this_process.hpp>
#include <multifork/sync/condition.hpp>
#include <multifork/sync/lock.hpp>

#include <fmt/format.h>

#include <mutex>

namespace {

namespace mp = multifork;
using namespace demo;

enum : std::uint16_t { flag_name, lock_name, bell_name, wakes, lies_down };
constexpr std::size_t sleeper = 0;

class LostWakeup : public Race {
public:
    explicit LostWakeup(bool cured) : cured_(cured) {}

    std::vector<std::string> lanes() const override { return {"Sleeper", "Waker"}; }
    Names names() const override {
        return {{"flag", "lock", "bell", "ring the bell", "lie down"}, "flag", flag_name};
    }
    void set_up() override {
        flag_.store(0);
        round_.store(round_.load() + 1);
    }
    void work(std::size_t me, Actor& actor) override {
        if (me == sleeper)
            wait_for_flag(actor);
        else
            set_flag(actor);
    }
    Verdict judge(const std::vector<std::size_t>& stuck) override {
        if (!stuck.empty() || hung_.load() == round_.load())
            return {true, "The flag is set and the bell has rung, and the sleeper sleeps: nobody "
                          "will wake it any more."};
        return {false, "The sleeper has seen the flag."};
    }
    std::vector<std::size_t> bad_schedule() const override { return {0, 1, 1, 0}; }
    bool can_go(std::size_t, const mp::lab::Step& step) override {
        return step.access != mp::lab::Access::acquire || !lock_.owner();
    }
    /// It sleeps for good when it is on the condition's list and has given up the lock, or when it
    /// is woken and another holds the lock.
    bool sleeps(std::size_t) override {
        const auto owner = lock_.owner();
        const bool holds_it = owner && owner->pid == sleeper_pid_.load();
        return !holds_it && (bell_.waiters() > 0 || owner.has_value());
    }
    std::string stuck_text(std::size_t, const mp::lab::Step&) override { return "sleeps for ever"; }
    /// The waker is done and the sleeper is on the list, both in one round: no guess, it would stay
    /// there. The round may end between the two looks, and in the next one a sleeper may well be on
    /// the list: so what is noted is the round that the waker was done with. Who is woken in a
    /// later round for nothing looks at the flag again, with the cure.
    void watch() override {
        const std::int64_t done = waker_done_.load();
        if (done == round_.load() && bell_.waiters() > 0) {
            hung_.store(done);
            bell_.notify_one();
        }
    }
    void annotate(Chronicle& told) override {
        if (!told.went_wrong)
            return;
        // In real time the demo had to ring once more.
        for (Moment& moment : told.moments)
            if (moment.text == "woken by bell") {
                moment.text = "woken by the demo";
                moment.is_bad = true;
            }
    }

private:
    void wait_for_flag(Actor& actor) {
        sleeper_pid_.store(mp::this_process::pid());
        if (cured_) {
            actor.acquire(lock_, lock_name);
            while (actor.load(flag_, flag_name) == 0)
                sleep(actor, [&] { bell_.wait(lock_); });
            actor.release(lock_, lock_name);
            return;
        }
        // Looks without the lock, and sleeps afterwards.
        if (actor.load(flag_, flag_name) == 0) {
            actor.be_busy(10'000); // something else to do first
            sleep(actor, [&] {
                std::unique_lock hold{lock_};
                bell_.wait(hold);
            });
        }
    }
    template <class F>
    static void sleep(Actor& actor, F&& fall_asleep) {
        actor.act(Actor::Access::wait, bell_name, [&] {
            actor.mark(lies_down);
            fall_asleep();
            return 0;
        });
    }
    void set_flag(Actor& actor) {
        actor.be_busy(5'000);
        if (cured_)
            actor.acquire(lock_, lock_name);
        actor.store(flag_, 1, flag_name);
        actor.act(Actor::Access::mark, wakes, [&] {
            bell_.notify_one();
            return 0;
        });
        if (cured_)
            actor.release(lock_, lock_name);
        waker_done_.store(round_.load());
    }

    bool cured_;
    mp::Value<int> flag_{0};
    mp::Value<std::int64_t> round_{0};
    mp::Value<std::int64_t> waker_done_{-1}; // the last round in which it was
    mp::Value<std::int64_t> hung_{-1};       // the last round in which the sleeper did
    mp::Value<int> sleeper_pid_{0};
    mp::Lock lock_;
    mp::Condition bell_;
};

} // namespace

int main(int argc, char** argv) {
    RaceDemo wakeup;
    wakeup.name = "lost-wakeup";
    wakeup.summary =
        "A process looks at a flag and, if it is not set, sleeps until it is woken;\n"
        "another sets the flag and wakes it: without a lock around the look, and with\n"
        "one.\n";
    wakeup.title = "A wake-up that comes before the sleep";
    wakeup.lead =
        "The sleeper looks at the flag; if it is 0, it lies down until the bell rings. The "
        "waker sets the flag to 1 and rings. A bell that nobody hears is forgotten.";
    wakeup.without = "look, then sleep";
    wakeup.with = "Condition and lock";
    wakeup.wrong = "hung";
    wakeup.rounds = 20'000;
    wakeup.moral = "Look and lie down must be one step for the waker. That is what a condition's "
                   "lock is for: the sleeper holds it from its look until it is on the list, and "
                   "the waker sets the flag under the same lock. And look again after waking.";
    wakeup.make = [](bool cured, std::size_t) { return std::make_unique<LostWakeup>(cured); };
    return race_main(wakeup, argc, argv);
}
