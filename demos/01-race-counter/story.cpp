#include "story.hpp"

#include "toolkit/text.hpp"
#include "toolkit/timeline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <span>

namespace demo {
namespace {

using multifork::lab::Access;
using multifork::lab::LostUpdate;
using multifork::lab::TraceEvent;

struct Step {
    TraceEvent event;
    std::size_t lane = 0;
    bool is_context = false;
    bool is_lost = false;
    std::int64_t skipped = 0; ///< increments left out after this step
};

/// Steps in the order of time; a step's time is that of its end.
void sort(std::vector<Step>& steps) {
    std::sort(steps.begin(), steps.end(),
              [](const Step& a, const Step& b) { return a.event.end < b.event.end; });
}

/// The case itself: both loads, the store or stores that were lost, and the one that overwrote
/// them.
std::vector<Step> steps_of(const TracedRun& run, const LostUpdate& update) {
    const std::size_t early = 1 - update.late;
    const auto& late_events = run.events[update.late];
    const auto& early_events = run.events[early];

    std::vector<Step> steps{{late_events[update.load], update.late},
                            {late_events[update.load + 1], update.late},
                            {early_events[update.first], early},
                            {early_events[update.first + 1], early, false, true}};
    if (update.lost > 2)
        steps.back().skipped = update.lost - 2;
    if (update.lost > 1) {
        steps.push_back({early_events[update.last - 1], early});
        steps.push_back({early_events[update.last], early, false, true});
    }
    sort(steps);
    return steps;
}

/// The increment before and the one after, where they follow without a doubt: they show the
/// ordinary case.
void add_context(const TracedRun& run, std::vector<Step>& steps) {
    std::vector<Step> all;
    for (std::size_t lane : {0U, 1U})
        for (const TraceEvent& event : run.events[lane])
            all.push_back({event, lane, true});
    sort(all);

    const auto same_as = [](const Step& step) {
        return [&step](const Step& other) {
            return other.lane == step.lane && other.event.sequence == step.event.sequence;
        };
    };
    // Whether b, right after a, is an increment of one process that begins with the number `from`.
    const auto increment = [](const Step& a, const Step& b, std::int64_t from) {
        return a.lane == b.lane && a.event.access == Access::load && a.event.value == from &&
               b.event.access == Access::store && b.event.value == from + 1;
    };
    const auto begin = std::find_if(all.begin(), all.end(), same_as(steps.front()));
    const auto end = std::find_if(begin, all.end(), same_as(steps.back()));
    std::vector<Step> before;
    if (begin - all.begin() >= 2 && increment(begin[-2], begin[-1], steps.front().event.value - 1))
        before.assign(begin - 2, begin);
    if (all.end() - end > 2 && increment(end[1], end[2], steps.back().event.value))
        steps.insert(steps.end(), end + 1, end + 3);
    steps.insert(steps.begin(), before.begin(), before.end());
}

std::vector<Moment> moments_of(const std::vector<Step>& steps, std::int64_t zero) {
    std::vector<Moment> moments;
    for (const Step& step : steps) {
        const bool load = step.event.access == Access::load;
        Moment moment;
        moment.lane = step.lane;
        moment.at_ns = step.event.end - zero;
        moment.shape = load ? Moment::Shape::opens : Moment::Shape::closes;
        const std::string value = grouped(step.event.value);
        moment.text = fmt::format("{} {}", load ? "load" : "store", value);
        if (step.is_lost)
            moment.text += fmt::format(" {}", glyphs().cross);
        moment.note = load ? ", add 1" : step.is_lost ? " lost" : "";
        moment.is_bad = step.is_lost;
        moment.is_context = step.is_context;
        // A load shows what the counter was, a store what it is now.
        moment.state = value;
        moments.push_back(moment);
        if (step.skipped > 0) {
            moment.shape = Moment::Shape::skipped;
            moment.is_bad = false;
            moment.is_context = true;
            moment.text = fmt::format("{} more", grouped(step.skipped));
            moment.note.clear();
            moment.state.clear();
            moments.push_back(moment);
        }
    }
    return moments;
}

/// Each load, up to the store of the same process that follows it.
std::vector<Stretch> loads_to_stores(const std::vector<Moment>& moments) {
    std::vector<Stretch> all;
    for (std::size_t i = 0; i < moments.size(); ++i)
        for (std::size_t j = i + 1; moments[i].shape == Moment::Shape::opens && j < moments.size();
             ++j)
            if (moments[j].lane == moments[i].lane && moments[j].shape == Moment::Shape::closes) {
                all.push_back({moments[i].lane, i, j, Stretch::Kind::trusts});
                break;
            }
    return all;
}

} // namespace

Chronicle tell_story(const TracedRun& run) {
    const LostUpdate& update = *run.example;
    const std::vector<std::string> names{"Process-1", "Process-2"};
    std::vector<Step> steps = steps_of(run, update);
    const std::int64_t zero = steps.front().event.end;
    add_context(run, steps);
    Chronicle told;
    told.title = "Without the cure: no lock";
    told.lanes = names;
    told.state_title = "counter";
    told.moments = moments_of(steps, zero);
    told.stretches = loads_to_stores(told.moments);
    told.went_wrong = true;
    draw_timeline(names, told.state_title, told.moments);

    const auto& late = run.events[update.late];
    const auto& early = run.events[1 - update.late];
    const auto at = [&](const TraceEvent& event) {
        return event.end == zero ? "0 ns" : "+" + duration_text(event.end - zero);
    };
    const std::string& late_name = names[update.late];
    const std::string& early_name = names[1 - update.late];
    const TraceEvent& load = late[update.load];
    const TraceEvent& store = late[update.load + 1];
    const TraceEvent& last = early[update.last];

    const std::string seen = grouped(load.value);
    const std::string stored = grouped(store.value);
    std::string text = fmt::format("{} loaded {} at {}, ", late_name, seen, at(load));
    if (update.lost == 1) {
        text += fmt::format("before {} stored {} at {}. It knew nothing of that store, added 1 to "
                            "its old {}, and stored {} once more at {}. Two processes added 1, and "
                            "the counter grew by 1: one increment was lost.",
                            early_name, stored, at(last), seen, stored, at(store));
    } else {
        text += fmt::format("but did not store until {}. Meanwhile {} counted on from {} to {}. "
                            "Then {} stored its own {} + 1 = {} over that: {} were lost "
                            "at one stroke.",
                            at(store), early_name, seen, grouped(last.value), late_name, seen,
                            stored, count_of(update.lost, "increment"));
    }
    fmt::print("\n");
    paragraph(text);
    told.verdict = text;
    return told;
}

} // namespace demo
