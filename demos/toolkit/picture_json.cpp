#include "toolkit/picture.hpp"
#include "toolkit/text.hpp"

#include <boost/json/src.hpp>

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

void name_it(json::array& events, std::string_view what, std::string_view name, std::size_t pid,
             std::size_t tid) {
    json::object named = event("M", what, pid, tid);
    named["args"] = {{"name", name}};
    events.push_back(std::move(named));
}

void add_panel(json::array& events, const Chronicle& panel, std::size_t pid) {
    name_it(events, "process_name", panel.title, pid, 0);
    for (std::size_t lane = 0; lane < panel.lanes.size(); ++lane)
        name_it(events, "thread_name", panel.lanes[lane], pid, lane + 1);

    for (const Stretch& stretch : panel.stretches) {
        const auto begin = panel.moments[stretch.first].at_ns;
        json::object slice = event("X", kind_name(stretch.kind), pid, stretch.lane + 1);
        slice["ts"] = micros(begin);
        slice["dur"] = micros(panel.moments[stretch.last].at_ns - begin);
        slice["args"] = {{"from", panel.moments[stretch.first].text},
                         {"to", panel.moments[stretch.last].text}};
        events.push_back(std::move(slice));
    }
    std::string state;
    for (const Moment& moment : panel.moments) {
        if (moment.shape == Moment::Shape::skipped)
            continue;
        json::object instant = event("i", moment.text, pid, moment.lane + 1);
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
