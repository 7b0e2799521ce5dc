#include "toolkit/drawing.hpp"

#include "toolkit/picture.hpp"
#include "toolkit/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace demo {
namespace {

constexpr double letter = 7.9;       // of the monospaced text at 13 px
constexpr double small_letter = 7.3; // at 12 px
constexpr int line_height = 17;
constexpr int head_height = 62;
constexpr int row_height = 28;
constexpr int narrowest_lane = 64;

} // namespace

Drawing::Drawing(const Chronicle& panel, int width) : panel_(panel), width_(width) {
    int widest_time = 9;
    int widest_state = columns(panel.state_title);
    for (const Moment& moment : panel.moments) {
        widest_time = std::max(widest_time, columns(offset_text(moment.at_ns)));
        widest_state = std::max(widest_state, columns(moment.state));
    }
    times_ = static_cast<int>(widest_time * small_letter) + (width < 480 ? 14 : 28);
    state_ = panel.state_title.empty() ? 8 : static_cast<int>(widest_state * letter) + 12;
    const auto lanes = std::max(1, static_cast<int>(panel.lanes.size()));
    width_ = std::max(width, times_ + state_ + lanes * narrowest_lane);
    lane_ = (width_ - times_ - state_) / static_cast<double>(lanes);
    text_columns_ = std::max(4, static_cast<int>((lane_ - 26) / letter));
    if (panel.ns_per_row > 0)
        place_to_scale();
    else
        place_rows();
}

void Drawing::draw(std::string& out, int top) const {
    fmt::format_to(std::back_inserter(out), "<g transform=\"translate(0 {})\">", top);
    if (panel_.ns_per_row > 0)
        ticks(out);
    else
        rules(out);
    heads(out);
    for (const Stretch& stretch : panel_.stretches)
        bar(out, stretch);
    for (const HandOver& given : panel_.hand_overs)
        hand_over(out, given);
    for (std::size_t i = 0; i < panel_.moments.size(); ++i)
        moment(out, i);
    out += "</g>\n";
}

void Drawing::place_rows() {
    int y = head_height;
    for (const Moment& moment : panel_.moments) {
        auto lines = wrapped(marked_text(moment) + moment.note, text_columns_ - moment.is_bad);
        const int tall = std::max<int>(1, static_cast<int>(lines.size())) * line_height + 15;
        rows_.push_back(y + tall / 2);
        y += tall;
        texts_.push_back(std::move(lines));
    }
    height_ = y + 12;
}

void Drawing::place_to_scale() {
    std::vector<int> last(panel_.lanes.size(), -line_height);
    const std::int64_t first = panel_.moments.empty() ? 0 : panel_.moments.front().at_ns;
    int y = 0;
    for (const Moment& moment : panel_.moments) {
        const double rows = static_cast<double>(moment.at_ns - first) / panel_.ns_per_row;
        y = head_height + row_height / 2 + static_cast<int>(rows * row_height);
        rows_.push_back(y);
        // Texts that would lie over each other are left out.
        const bool room = y - last[moment.lane] >= line_height;
        texts_.push_back(room ? wrapped(marked_text(moment), 99) : std::vector<std::string>{});
        if (room)
            last[moment.lane] = y;
    }
    height_ = y + 22;
}

double Drawing::lane_x(std::size_t lane) const {
    return times_ + lane_ * static_cast<double>(lane) + 10;
}

double Drawing::end_of_life(std::size_t lane) const {
    for (std::size_t i = 0; i < panel_.moments.size(); ++i)
        if (panel_.moments[i].lane == lane && panel_.moments[i].is_end)
            return rows_[i];
    return height_ - 6;
}

void Drawing::rules(std::string& out) const {
    for (std::size_t i = 0; i < rows_.size(); ++i)
        fmt::format_to(std::back_inserter(out),
                       "<line class=\"rule\" x1=\"0\" y1=\"{0}\" x2=\"{1}\" y2=\"{0}\"/>",
                       i == 0 ? head_height - 4 : (rows_[i - 1] + rows_[i]) / 2, width_);
}

void Drawing::ticks(std::string& out) const {
    // Every 1, 2 or 5 times a power of ten, two rows or more apart.
    double step = 1;
    for (int i = 0; step < 2 * panel_.ns_per_row; ++i)
        step *= i % 3 == 1 ? 2.5 : 2;
    for (int i = 0;; ++i) {
        const int y = head_height + row_height / 2 +
                      static_cast<int>(i * step / panel_.ns_per_row * row_height);
        if (y > height_ - 10)
            return;
        fmt::format_to(std::back_inserter(out),
                       "<line class=\"rule\" x1=\"{3}\" y1=\"{0}\" x2=\"{1}\" y2=\"{0}\"/>"
                       "<text class=\"q t\" x=\"{2}\" y=\"{4}\" text-anchor=\"end\">{5}</text>",
                       y, width_, times_ - 10, times_ - 6, y + 4,
                       duration_text(static_cast<std::int64_t>(i * step)));
    }
}

void Drawing::heads(std::string& out) const {
    auto to = std::back_inserter(out);
    fmt::format_to(to, "<text class=\"q\" x=\"{}\" y=\"28\" text-anchor=\"end\">time</text>",
                   times_ - 10);
    const int room = static_cast<int>((lane_ - 2) / letter);
    for (std::size_t lane = 0; lane < panel_.lanes.size(); ++lane) {
        const double x = lane_x(lane);
        const auto name = wrapped(printable(panel_.lanes[lane], 40), room);
        for (std::size_t i = 0; i < name.size() && i < 2; ++i)
            fmt::format_to(to, "<text class=\"h l{}\" x=\"{:.1f}\" y=\"{}\">{}</text>", lane % 5,
                           x - 5, (name.size() > 1 ? 16 : 28) + 16 * static_cast<int>(i),
                           escaped(printable(name[i], room)));
        fmt::format_to(to,
                       "<line class=\"life l{}\" x1=\"{:.1f}\" y1=\"42\" x2=\"{:.1f}\" y2=\"{}\"/>",
                       lane % 5, x, x, end_of_life(lane));
    }
    if (!panel_.state_title.empty())
        fmt::format_to(to, "<text class=\"q\" x=\"{}\" y=\"28\" text-anchor=\"end\">{}</text>",
                       width_ - 6, escaped(panel_.state_title));
}

void Drawing::bar(std::string& out, const Stretch& stretch) const {
    auto to = std::back_inserter(out);
    const double x = lane_x(stretch.lane);
    const int from = rows_[stretch.first];
    const bool ends = stretch.last != Stretch::never;
    const int until = ends ? rows_[stretch.last] : height_ - 2;
    if (stretch.kind != Stretch::Kind::holds) {
        const bool waits = stretch.kind == Stretch::Kind::waits;
        fmt::format_to(to,
                       "<line class=\"{} l{}\" x1=\"{:.1f}\" y1=\"{}\" x2=\"{:.1f}\" y2=\"{}\"/>",
                       waits ? "waits" : "trusts", stretch.lane % 5, x, from, x, until);
        return;
    }
    // A second lock lies within the first one.
    int depth = 0;
    for (const Stretch& other : panel_.stretches)
        depth += other.kind == stretch.kind && other.lane == stretch.lane &&
                         other.first < stretch.first && other.last > stretch.first
                     ? 1
                     : 0;
    const int half = std::max(4, 9 - 3 * depth);
    // Open below: nobody gives it back.
    if (ends)
        fmt::format_to(to,
                       "<rect class=\"holds\" x=\"{:.1f}\" y=\"{}\" width=\"{}\" height=\"{}\" "
                       "rx=\"{}\"/>",
                       x - half, from - half, 2 * half, until - from + 2 * half, half);
    else
        fmt::format_to(to, "<path class=\"holds\" d=\"M{:.1f} {}V{}a{} {} 0 0 1 {} 0V{}\"/>",
                       x - half, until, from, half, half, 2 * half, until);
}

void Drawing::hand_over(std::string& out, const HandOver& given) const {
    const double x1 = lane_x(panel_.moments[given.from].lane);
    const double x2 = lane_x(panel_.moments[given.to].lane);
    const double turn = x2 > x1 ? 6 : -6;
    const double y1 = rows_[given.from];
    const double y2 = rows_[given.to] - 10;
    // Along the line below the row, where there is no text.
    const double y = (rows_[given.from] + rows_[given.from + 1]) / 2.0;
    fmt::format_to(std::back_inserter(out),
                   "<path class=\"gives\" d=\"M{0:.1f} {1:.1f}V{2:.1f}q0 6 {3} 6H{4:.1f}"
                   "q{3} 0 {3} 6V{5:.1f}\"/><path class=\"tip\" d=\"M{6:.1f} {7:.1f}h9l-4.5 7z\"/>",
                   x1, y1, y - 6, turn, x2 - turn, std::max(y2, y + 6), x2 - 4.5, y2 - 4);
}

void Drawing::point(std::string& out, const Moment& moment, double x, int y) const {
    auto to = std::back_inserter(out);
    if (moment.shape == Moment::Shape::skipped)
        return;
    if (moment.is_end) {
        fmt::format_to(to, "<path class=\"end\" d=\"M{:.1f} {}l12 12m0 -12l-12 12\"/>", x - 6,
                       y - 6);
        return;
    }
    fmt::format_to(to, "<circle class=\"{} l{}\" cx=\"{:.1f}\" cy=\"{}\" r=\"{}\"/>",
                   moment.is_bad    ? "bad"
                   : moment.is_wait ? "dot waitdot"
                                    : "dot",
                   moment.lane % 5, x, y, moment.is_context ? 3 : 5);
}

void Drawing::moment(std::string& out, std::size_t index) const {
    auto to = std::back_inserter(out);
    const Moment& moment = panel_.moments[index];
    const int y = rows_[index];
    const double x = lane_x(moment.lane);
    const bool skipped = moment.shape == Moment::Shape::skipped;
    const bool new_time = index == 0 || panel_.moments[index - 1].at_ns != moment.at_ns;
    if (new_time && !skipped && panel_.ns_per_row <= 0)
        fmt::format_to(to, "<text class=\"q t\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                       times_ - 10, y + 4, offset_text(moment.at_ns));

    const auto& lines = texts_[index];
    const int first = y + 5 - line_height * (static_cast<int>(lines.size()) - 1) / 2;
    if (moment.is_bad) {
        int longest = 0;
        for (const std::string& line : lines)
            longest = std::max(longest, columns(line));
        fmt::format_to(to,
                       "<rect class=\"badbox\" x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" "
                       "height=\"{}\" rx=\"5\"/>",
                       x + 11, first - 15, longest * letter + 10,
                       static_cast<int>(lines.size()) * line_height + 5);
    }
    point(out, moment, x, y);
    for (std::size_t i = 0; i < lines.size(); ++i)
        fmt::format_to(to, "<text class=\"{}\" x=\"{:.1f}\" y=\"{}\">{}</text>",
                       moment.is_bad                         ? "m b"
                       : moment.is_context || moment.is_wait ? "m q"
                                                             : "m",
                       x + 16, first + line_height * static_cast<int>(i), escaped(lines[i]));
    if (!moment.state.empty()) {
        const bool changed = index == 0 || panel_.moments[index - 1].state != moment.state;
        fmt::format_to(to, "<text class=\"m {}\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                       changed ? "s" : "q", width_ - 6, y + 5, escaped(moment.state));
    }
}

} // namespace demo
