// A point of two words: one process moves it, another reads it. Read in the middle of a move it is
// neither here nor there.

#include "toolkit/race_main.hpp"

#include <multifork/channel/value.hpp>

#include <fmt/format.h>

namespace {

namespace mp = multifork;
using namespace demo;

enum : std::uint16_t { x_name, y_name, write_whole, read_whole, saw };

struct Place {
    std::int64_t x;
    std::int64_t y;
};

class TornRead : public Race {
public:
    explicit TornRead(bool cured) : cured_(cured) {}

    std::vector<std::string> lanes() const override { return {"Writer", "Reader"}; }
    Names names() const override {
        return {{"x", "y", "write both: {}", "read both: {}", "sees x = y = {}"}, "", -1};
    }
    void set_up() override {
        x_.store(1);
        y_.store(1);
        place_.store({1, 1});
    }
    void work(std::size_t me, Actor& actor) override {
        if (me == 0)
            write(actor);
        else
            read(actor);
    }
    Verdict judge(const std::vector<std::size_t>&) override {
        const Place seen = seen_.load();
        if (seen.x != seen.y)
            return {true, fmt::format("The reader saw x = {} and y = {}. There never was such a "
                                      "place.",
                                      seen.x, seen.y)};
        return {false, fmt::format("The reader saw x = {} and y = {}: a place that there was.",
                                   seen.x, seen.y)};
    }
    void annotate(Chronicle& told) override {
        if (!told.went_wrong)
            return;
        // Of the reader's two loads, the second one does not fit.
        for (auto moment = told.moments.rbegin(); moment != told.moments.rend(); ++moment)
            if (moment->lane == 1) {
                moment->is_bad = true;
                return;
            }
    }
    std::vector<std::size_t> bad_schedule() const override { return {0, 1, 1, 0}; }

private:
    void write(Actor& actor) {
        if (cured_) {
            actor.act(Actor::Access::mark, write_whole, [&] {
                place_.store({2, 2});
                return 2;
            });
            return;
        }
        actor.store(x_, std::int64_t{2}, x_name);
        actor.be_busy(300);
        actor.store(y_, std::int64_t{2}, y_name);
    }
    void read(Actor& actor) {
        Place seen{};
        if (cured_) {
            actor.act(Actor::Access::mark, read_whole, [&] {
                seen = place_.load();
                return seen.x;
            });
        } else {
            actor.be_busy(200);
            seen.x = actor.load(x_, x_name);
            seen.y = actor.load(y_, y_name);
        }
        seen_.store(seen);
    }

    bool cured_;
    mp::Value<std::int64_t> x_{1};
    mp::Value<std::int64_t> y_{1};
    mp::Value<Place> place_{{1, 1}};
    mp::Value<Place> seen_{{1, 1}};
};

} // namespace

int main(int argc, char** argv) {
    RaceDemo torn;
    torn.name = "torn-read";
    torn.summary =
        "One process writes a struct of two words while another reads it: word by word,\n"
        "and as a Value<struct>, which is written and read whole.\n";
    torn.title = "A struct of two words, read while it is written";
    torn.lead = "The writer moves a point from (1, 1) to (2, 2). x and y are always the same, for "
                "everybody who looks before or after.";
    torn.without = "word by word";
    torn.with = "Value<Place>";
    torn.wrong = "torn";
    torn.moral =
        "A processor reads and writes a word at once, not a struct. Value<T> does it whole "
        "whatever T is: a T that the machine cannot store at once is read and written "
        "under the value's own lock.";
    torn.make = [](bool cured, std::size_t) { return std::make_unique<TornRead>(cured); };
    return race_main(torn, argc, argv);
}
