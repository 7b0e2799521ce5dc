#include "toolkit/timeline.hpp"

#include "toolkit/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace demo {
namespace {

constexpr int time_width = 9; // "+9,999 ns"

Ink ink_of(std::size_t lane) {
    return lane % 2 == 0 ? Ink::first : Ink::second;
}

std::string_view mark(Moment::Shape shape) {
    switch (shape) {
    case Moment::Shape::opens:
        return glyphs().opens;
    case Moment::Shape::closes:
        return glyphs().closes;
    case Moment::Shape::skipped:
        return glyphs().skipped;
    case Moment::Shape::passes:
        return glyphs().goes_on;
    case Moment::Shape::point:
        return glyphs().dot;
    }
    return "";
}

} // namespace

std::string marked_text(const Moment& moment) {
    const std::string cross(glyphs().cross);
    const bool has_it = moment.text.starts_with(cross + " ") || moment.text.ends_with(" " + cross);
    return moment.is_bad && !has_it ? moment.text + " " + cross : moment.text;
}

std::string offset_text(std::int64_t ns) {
    const std::string text = duration_text(ns < 0 ? -ns : ns);
    return ns == 0 ? text : (ns < 0 ? "-" : "+") + text;
}

void draw_timeline(const std::vector<std::string>& lanes, const std::string& state_title,
                   const std::vector<Moment>& moments) {
    const int state_width = state_title.empty() ? 0 : std::max(columns(state_title), 7);
    const int room = terminal().width - 2 - time_width - 3 - state_width;
    // What does not fit beside the others is cut.
    const int lane_width = std::clamp(room / static_cast<int>(lanes.size()), 5, 26);

    std::string line = repeat(" ", time_width - 2) + paint(Ink::quiet, "time") + "   ";
    for (std::size_t lane = 0; lane < lanes.size(); ++lane)
        line += paint(ink_of(lane), pad_right(printable(lanes[lane], lane_width - 1), lane_width));
    if (!state_title.empty())
        line += paint(Ink::quiet, pad_left(state_title, state_width));
    fmt::print("{}\n", line.substr(0, line.find_last_not_of(' ') + 1));

    std::vector<bool> open(lanes.size(), false);
    std::string state_before;
    for (const Moment& moment : moments) {
        const bool skipped = moment.shape == Moment::Shape::skipped;
        line = "  ";
        line += paint(Ink::quiet, pad_left(skipped ? "" : offset_text(moment.at_ns), time_width));
        line += "   ";
        for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
            const Ink ink = ink_of(lane);
            if (lane != moment.lane) {
                const std::string_view through = open[lane] ? glyphs().goes_on : " ";
                line += paint(ink, through) + repeat(" ", lane_width - 1);
                continue;
            }
            std::string text = marked_text(moment);
            // Where there is no room for a cross behind the text it stands before it.
            const bool is_long = columns(text) > lane_width - 3 && text != moment.text;
            if (is_long)
                text = moment.text;
            if (columns(text) + columns(moment.note) <= lane_width - 3)
                text += moment.note;
            text = pad_right(printable(text, lane_width - 3), lane_width - 2);
            line += is_long ? paint(Ink::bad, glyphs().cross) : paint(ink, mark(moment.shape));
            line += " ";
            line += paint(moment.is_bad                         ? Ink::bad
                          : moment.is_context || moment.is_wait ? Ink::quiet
                                                                : ink,
                          text);
        }
        const bool changed = moment.state != state_before;
        state_before = moment.state;
        line += paint(moment.is_context || !changed ? Ink::quiet : Ink::strong,
                      pad_left(moment.state, state_width));
        fmt::print("{}\n", line.substr(0, line.find_last_not_of(' ') + 1));
        if (moment.shape == Moment::Shape::opens || moment.shape == Moment::Shape::closes)
            open[moment.lane] = moment.shape == Moment::Shape::opens;
    }
    if (lane_width < 7)
        paragraph("A wider terminal has room for whole words.", Ink::quiet);
}

} // namespace demo
