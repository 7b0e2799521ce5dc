#include "stepped.hpp"

#include <multifork/channel/value.hpp>
#include <multifork/sync/lock.hpp>

#include <fmt/format.h>

namespace demo {
namespace mp = multifork;
namespace {

enum : std::uint16_t { counter_name, lock_name, add_name };

class Increments : public Race {
public:
    explicit Increments(bool cured) : cured_(cured) {}

    std::vector<std::string> lanes() const override { return {"Process-1", "Process-2"}; }
    Names names() const override { return {{"", "lock", "add 1: {}"}, "counter", counter_name}; }
    void set_up() override { counter_.store(41); }
    void work(std::size_t, Actor& actor) override {
        if (cured_)
            actor.acquire(lock_, lock_name);
        const int seen = actor.load(counter_, counter_name);
        actor.compute(add_name, seen + 1);
        actor.store(counter_, seen + 1, counter_name);
        if (cured_)
            actor.release(lock_, lock_name);
    }
    Verdict judge(const std::vector<std::size_t>&) override {
        const int got = counter_.load();
        if (got != 43)
            return {true, fmt::format("Two processes added 1 to 41, and the counter says {}: one "
                                      "increment was lost.",
                                      got)};
        return {false, "Two processes added 1 to 41, and the counter says 43."};
    }
    void annotate(Chronicle& told) override {
        // The store that the other one, which knows nothing of it, stores over.
        if (!told.went_wrong)
            return;
        for (Moment& moment : told.moments)
            if (moment.text == "store 42") {
                moment.is_bad = true;
                return;
            }
    }
    std::vector<std::size_t> bad_schedule() const override { return {0, 1, 0, 1, 0, 1}; }
    bool can_go(std::size_t, const mp::lab::Step& step) override {
        return step.access != mp::lab::Access::acquire || !lock_.owner();
    }

private:
    bool cured_;
    mp::Value<int> counter_{41};
    mp::Lock lock_;
};

} // namespace

RaceDemo stepped_counter(const char* name) {
    RaceDemo demo;
    demo.name = name;
    demo.title = "Two processes add 1 to the same number, step by step";
    demo.lead = "counter += 1 is three steps: load, add, store. Here both load before one of them "
                "stores.";
    demo.wrong = "lost";
    demo.moral = "With the lock the other one's load waits until the first one has stored, in any "
                 "order that the steps are allowed in.";
    demo.make = [](bool cured, std::size_t) { return std::make_unique<Increments>(cured); };
    return demo;
}

} // namespace demo
