// One process prepares something and then raises a flag: "ready". If the flag is seen before what
// it announces, the reader takes what is not there yet.

#include "toolkit/race_main.hpp"

#include <multifork/channel/value.hpp>

#include <fmt/format.h>

#include <atomic>

namespace {

namespace mp = multifork;
using namespace demo;

enum : std::uint16_t { data_name, ready_name, nothing_yet };

class Publication : public Race {
public:
    explicit Publication(bool cured) : cured_(cured) {}

    std::vector<std::string> lanes() const override { return {"Writer", "Reader"}; }
    Names names() const override { return {{"data", "ready", "nothing yet"}, "data", data_name}; }
    void set_up() override {
        data_.store(0);
        ready_.store(0);
        seen_.store(-1);
    }
    void work(std::size_t me, Actor& actor) override {
        if (me == 1)
            read(actor);
        else if (cured_)
            publish(actor);
        else
            publish_too_early(actor);
    }
    Verdict judge(const std::vector<std::size_t>&) override {
        const int seen = seen_.load();
        if (seen == 0)
            return {true, "ready was 1, and yet data was 0: the reader took what was not there."};
        if (seen < 0)
            return {false, "ready was 0, so the reader did not touch data."};
        return {false, fmt::format("ready was 1, and data was {}.", seen)};
    }
    void annotate(Chronicle& told) override {
        for (Moment& moment : told.moments)
            moment.is_bad = moment.lane == 1 && moment.text == "load data 0";
    }
    std::vector<std::size_t> bad_schedule() const override { return {0, 1, 1, 0}; }

private:
    /// What may become of "data = 42; ready = 1;" with plain variables: nothing in it tells the
    /// compiler, or a processor other than x86, that the order matters.
    void publish_too_early(Actor& actor) {
        actor.store(ready_, 1, ready_name);
        actor.be_busy(200);
        actor.store(data_, 42, data_name);
    }
    /// First the data; then the flag, with release: what was written before cannot come after.
    void publish(Actor& actor) {
        actor.store(data_, 42, data_name);
        actor.act(Actor::Access::store, ready_name, [&] {
            ready_.store(1); // seq_cst, which includes release; pairs with the load in read()
            return 1;
        });
    }
    void read(Actor& actor) {
        actor.be_busy(100);
        int ready = 0;
        actor.act(Actor::Access::load, ready_name, [&] { return ready = ready_.load(); });
        if (ready == 0) {
            actor.mark(nothing_yet);
            return;
        }
        seen_.store(actor.load(data_, data_name));
    }

    bool cured_;
    mp::Value<int> data_{0};
    mp::Value<int> ready_{0};
    mp::Value<int> seen_{-1};
};

} // namespace

int main(int argc, char** argv) {
    RaceDemo publication;
    publication.name = "publication";
    publication.summary =
        "One process fills in data and raises a flag, another waits for the flag and\n"
        "reads: with the flag raised too early, and with release and acquire.\n";
    publication.title = "A flag that is raised before the data is there";
    publication.lead = "The program says data = 42, then ready = 1. With plain variables the "
                       "compiler may turn the two around, and so may many processors (x86 does "
                       "not). The first row does what is left after that, in this order: ready, "
                       "data.";
    publication.without = "turned around";
    publication.with = "release, acquire";
    publication.wrong = "too early";
    publication.moral = "A release store is a promise: whoever sees the flag (by an acquire load) "
                        "sees all that was written before it. Value's store() and load() are such; "
                        "so are locks, semaphores, events and queues.";
    publication.make = [](bool cured, std::size_t) { return std::make_unique<Publication>(cured); };
    return race_main(publication, argc, argv);
}
