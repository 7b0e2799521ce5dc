#include "toolkit/picture.hpp"
#include "toolkit/text.hpp"

#include <boost/json/src.hpp>

#include <algorithm>
#include <charconv>
#include <optional>

namespace demo {
namespace {

namespace json = boost::json;

/// The format counts in microseconds.
double micros(std::int64_t ns) {
    return static_cast<double>(ns) / 1000;
}

const char* kind_name(Stretch::Kind kind) {
    switch (kind) {
    case Stretch::Kind::trusts:
        return "works on an old copy";
    case Stretch::Kind::waits:
        return "waits";
    case Stretch::Kind::holds:
        return "holds the lock";
    case Stretch::Kind::runs:
        return "runs";
    }
    return "";
}

std::optional<std::int64_t> number_in(std::string text) {
    std::erase(text, ',');
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return number;
}

json::object event(std::string_view phase, std::string_view name, std::size_t pid,
                   std::size_t tid) {
    return {{"ph", phase}, {"name", name}, {"pid", pid}, {"tid", tid}};
}

/// Processes and threads have numbers of their own: a thread with its process's number would be
/// shown as the main one.
std::size_t thread_of(std::size_t pid, std::size_t lane) {
    return 100 * pid + lane + 1;
}

void name_it(json::array& events, std::string_view what, json::value name, std::size_t pid,
             std::size_t tid) {
    json::object named = event("M", what, pid, tid);
    named["args"] = {{what.ends_with("sort_index") ? "sort_index" : "name", std::move(name)}};
    events.push_back(std::move(named));
}

/// Slices of one thread must lie within each other or apart: viewers drop others. They read times
/// as numbers with a fraction, so slices that touch are kept apart by a nanosecond.
std::int64_t fitting_end(const Chronicle& panel, const Stretch& stretch, std::int64_t end) {
    const std::int64_t begin = panel.moments[stretch.first].at_ns;
    const std::int64_t wanted = end;
    for (const Stretch& other : panel.stretches) {
        if (other.lane != stretch.lane)
            continue;
        const std::int64_t other_begin = panel.moments[other.first].at_ns;
        if (other.first < stretch.first && other.last != Stretch::never &&
            panel.moments[other.last].at_ns > begin)
            end = std::min(end, panel.moments[other.last].at_ns);
        if (other.first > stretch.first && other_begin == wanted)
            end = std::min(end, wanted - 1);
    }
    return std::max(begin, end);
}

void add_slices(json::array& events, const Chronicle& panel, std::size_t pid) {
    for (const Stretch& stretch : panel.stretches) {
        const auto begin = panel.moments[stretch.first].at_ns;
        const bool ends = stretch.last != Stretch::never;
        const std::size_t last = ends ? stretch.last : panel.moments.size() - 1;
        const auto end = fitting_end(panel, stretch, panel.moments[last].at_ns);
        json::object slice = event("X", kind_name(stretch.kind), pid, thread_of(pid, stretch.lane));
        slice["cat"] = "state";
        slice["ts"] = micros(begin);
        slice["dur"] = micros(end - begin);
        slice["args"] = {{"from", panel.moments[stretch.first].text},
                         {"to", ends ? panel.moments[last].text : "never"}};
        events.push_back(std::move(slice));
    }
}

/// Arrows: from the slice that ends with giving back to the one that begins with taking.
void add_hand_overs(json::array& events, const Chronicle& panel, std::size_t pid) {
    for (std::size_t i = 0; i < panel.hand_overs.size(); ++i) {
        const Moment& from = panel.moments[panel.hand_overs[i].from];
        const Moment& to = panel.moments[panel.hand_overs[i].to];
        for (const bool begins : {true, false}) {
            const Moment& moment = begins ? from : to;
            json::object flow =
                event(begins ? "s" : "f", "hand-over", pid, thread_of(pid, moment.lane));
            flow["cat"] = "hand-over";
            flow["id"] = 1000 * pid + i;
            flow["ts"] = micros(moment.at_ns - (begins ? 1 : 0)); // still within its slice
            if (!begins)
                flow["bp"] = "e"; // binds to the slice around it, not to the next one
            events.push_back(std::move(flow));
        }
    }
}

void add_panel(json::array& events, const Chronicle& panel, std::size_t pid) {
    name_it(events, "process_name", json::string(panel.title), pid, 0);
    name_it(events, "process_sort_index", pid, pid, 0);
    for (std::size_t lane = 0; lane < panel.lanes.size(); ++lane) {
        name_it(events, "thread_name", json::string(panel.lanes[lane]), pid, thread_of(pid, lane));
        name_it(events, "thread_sort_index", lane, pid, thread_of(pid, lane));
    }
    add_slices(events, panel, pid);
    add_hand_overs(events, panel, pid);
    std::string state;
    for (const Moment& moment : panel.moments) {
        if (moment.shape == Moment::Shape::skipped)
            continue;
        json::object instant = event("i", marked_text(moment), pid, thread_of(pid, moment.lane));
        instant["ts"] = micros(moment.at_ns);
        instant["s"] = "t";
        instant["cat"] = moment.is_bad ? "fault" : "step";
        if (!moment.state.empty())
            instant["args"] = {{panel.state_title, moment.state}};
        events.push_back(std::move(instant));
        if (moment.state == state)
            continue;
        state = moment.state;
        if (const auto number = number_in(state)) {
            json::object counter = event("C", panel.state_title, pid, 0);
            counter["ts"] = micros(moment.at_ns);
            counter["args"] = {{panel.state_title, *number}};
            events.push_back(std::move(counter));
        }
    }
}

} // namespace

std::string json_of(const Picture& picture) {
    json::array events;
    for (std::size_t i = 0; i < picture.panels.size(); ++i)
        add_panel(events, picture.panels[i], i + 1);
    json::object other{{"demo", picture.demo}, {"title", picture.title}};
    for (const Chronicle& panel : picture.panels)
        other[panel.title] = panel.verdict;
    return json::serialize(json::object{{"displayTimeUnit", "ns"},
                                        {"otherData", std::move(other)},
                                        {"traceEvents", std::move(events)}}) +
           "\n";
}

} // namespace demo
