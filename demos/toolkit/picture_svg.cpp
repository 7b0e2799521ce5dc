#include "toolkit/picture.hpp"
#include "toolkit/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace demo {
namespace {

constexpr double letter = 7.25; // of the monospaced text at 12 px
constexpr int line_height = 16;
constexpr int head_height = 58;

/// Broken at blanks into lines of that many columns.
std::vector<std::string> wrapped(std::string_view text, int width) {
    std::vector<std::string> lines;
    std::string line;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, end);
        if (!line.empty() && columns(line) + 1 + columns(word) > width) {
            lines.push_back(line);
            line.clear();
        }
        line += line.empty() ? "" : " ";
        line += word;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    if (!line.empty())
        lines.push_back(line);
    return lines;
}

std::string time_text(std::int64_t ns) {
    return ns == 0 ? "0" : "+" + duration_text(ns);
}

/// One panel, drawn from the top to `height`.
class Drawing {
public:
    Drawing(const Chronicle& panel, int width) : panel_(panel), width_(width) {
        const bool narrow = width < 480;
        times_ = narrow ? 74 : 88;
        state_ = panel.state_title.empty() ? 8 : narrow ? 58 : 84;
        lane_ = (width - times_ - state_) / static_cast<double>(panel.lanes.size());
        text_columns_ = std::max(4, static_cast<int>((lane_ - 24) / letter));
        place_rows();
    }

    [[nodiscard]] int height() const { return height_; }

    void draw(std::string& out, int top) const {
        fmt::format_to(std::back_inserter(out), "<g transform=\"translate(0 {})\">", top);
        for (std::size_t i = 0; i < rows_.size(); ++i)
            fmt::format_to(std::back_inserter(out),
                           "<line class=\"rule\" x1=\"0\" y1=\"{0}\" x2=\"{1}\" y2=\"{0}\"/>",
                           i == 0 ? head_height - 6 : (rows_[i - 1] + rows_[i]) / 2, width_);
        heads(out);
        for (const Stretch& stretch : panel_.stretches)
            bar(out, stretch);
        for (std::size_t i = 0; i < panel_.moments.size(); ++i)
            moment(out, i);
        out += "</g>\n";
    }

private:
    void place_rows() {
        int y = head_height;
        for (const Moment& moment : panel_.moments) {
            auto lines = wrapped(moment.text, text_columns_ - (moment.is_bad ? 1 : 0));
            const int tall = std::max<int>(1, static_cast<int>(lines.size())) * line_height + 16;
            rows_.push_back(y + tall / 2);
            y += tall;
            texts_.push_back(std::move(lines));
        }
        height_ = y + 10;
    }
    [[nodiscard]] double lane_x(std::size_t lane) const {
        return times_ + lane_ * static_cast<double>(lane) + 10;
    }

    void heads(std::string& out) const {
        auto to = std::back_inserter(out);
        fmt::format_to(to, "<text class=\"q\" x=\"{}\" y=\"26\" text-anchor=\"end\">time</text>",
                       times_ - 10);
        for (std::size_t lane = 0; lane < panel_.lanes.size(); ++lane) {
            const double x = lane_x(lane);
            const auto name = wrapped(printable(panel_.lanes[lane], 40), text_columns_ + 1);
            for (std::size_t i = 0; i < name.size() && i < 2; ++i)
                fmt::format_to(to, "<text class=\"h l{}\" x=\"{:.1f}\" y=\"{}\">{}</text>",
                               lane % 5, x - 5,
                               (name.size() > 1 ? 16 : 26) + 15 * static_cast<int>(i),
                               escaped(printable(name[i], text_columns_ + 1)));
            fmt::format_to(
                to, "<line class=\"life l{}\" x1=\"{:.1f}\" y1=\"40\" x2=\"{:.1f}\" y2=\"{}\"/>",
                lane % 5, x, x, height_ - 6);
        }
        if (!panel_.state_title.empty())
            fmt::format_to(to, "<text class=\"q\" x=\"{}\" y=\"26\" text-anchor=\"end\">{}</text>",
                           width_ - 6, escaped(panel_.state_title));
    }

    void bar(std::string& out, const Stretch& stretch) const {
        const char* const kind = stretch.kind == Stretch::Kind::waits   ? "waits"
                                 : stretch.kind == Stretch::Kind::holds ? "holds"
                                                                        : "trusts";
        // A lock is drawn broader than what goes on under it.
        fmt::format_to(std::back_inserter(out),
                       "<line class=\"{} l{}\" x1=\"{:.1f}\" y1=\"{}\" x2=\"{:.1f}\" y2=\"{}\"/>",
                       kind, stretch.lane % 5, lane_x(stretch.lane), rows_[stretch.first],
                       lane_x(stretch.lane), rows_[stretch.last]);
    }

    void moment(std::string& out, std::size_t index) const {
        auto to = std::back_inserter(out);
        const Moment& moment = panel_.moments[index];
        const int y = rows_[index];
        const double x = lane_x(moment.lane);
        const bool new_time = index == 0 || panel_.moments[index - 1].at_ns != moment.at_ns;
        if (new_time && moment.shape != Moment::Shape::skipped)
            fmt::format_to(to,
                           "<text class=\"q t\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                           times_ - 10, y + 4, time_text(moment.at_ns));

        const auto& lines = texts_[index];
        const int first = y + 4 - line_height * (static_cast<int>(lines.size()) - 1) / 2;
        if (moment.is_bad) {
            int longest = 0;
            for (const std::string& line : lines)
                longest = std::max(longest, columns(line));
            fmt::format_to(to,
                           "<rect class=\"badbox\" x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" "
                           "height=\"{}\" rx=\"5\"/>",
                           x + 9, first - 14, longest * letter + 10,
                           static_cast<int>(lines.size()) * line_height + 4);
        }
        fmt::format_to(to, "<circle class=\"{} l{}\" cx=\"{:.1f}\" cy=\"{}\" r=\"{}\"/>",
                       moment.is_bad    ? "bad"
                       : moment.is_wait ? "dot waitdot"
                                        : "dot",
                       moment.lane % 5, x, y, moment.is_context ? 3 : 4.5);
        for (std::size_t i = 0; i < lines.size(); ++i)
            fmt::format_to(to, "<text class=\"{}\" x=\"{:.1f}\" y=\"{}\">{}</text>",
                           moment.is_bad                         ? "m b"
                           : moment.is_context || moment.is_wait ? "m q"
                                                                 : "m",
                           x + 14, first + line_height * static_cast<int>(i), escaped(lines[i]));
        if (!moment.state.empty()) {
            const bool changed = index == 0 || panel_.moments[index - 1].state != moment.state;
            fmt::format_to(to,
                           "<text class=\"m {}\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                           changed ? "s" : "q", width_ - 6, y + 4, escaped(moment.state));
        }
    }

    const Chronicle& panel_;
    int width_;
    int times_ = 0;
    int state_ = 0;
    double lane_ = 0;
    int text_columns_ = 0;
    int height_ = 0;
    std::vector<int> rows_;
    std::vector<std::vector<std::string>> texts_;
};

std::string open_svg(int width, int height, std::string_view label) {
    return fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" "
                       "width=\"{0}\" height=\"{1}\" role=\"img\" aria-label=\"{2}\">\n",
                       width, height, escaped(label));
}

} // namespace

std::string drawing_style() {
    // Light first; the same names again for dark screens. No variables: not every viewer has them.
    return R"(
.m,.q,.h,.s{font:12px ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#24292f}
.t{font-size:11px}.q{fill:#6e7781}.h{font-weight:700;font-size:12.5px}.s{font-weight:700}
.b{font-weight:700;fill:#b3132b}
.life{stroke-width:1.5;opacity:.35}.rule{stroke:#eceae4}
.trusts{stroke-width:5;opacity:.55;stroke-linecap:round}
.holds{stroke-width:13;stroke:#2f9e58;opacity:.3;stroke-linecap:round}
.waits{stroke-width:6;stroke:#c98a00;stroke-dasharray:2 4}
.bad{fill:#d11f3a}.badbox{fill:#fde7ea}.waitdot{stroke:#c98a00;stroke-width:2}
.h.l0,.dot.l0{fill:#1f6bb5}.life.l0,.trusts.l0{stroke:#1f6bb5}
.h.l1,.dot.l1{fill:#a35200}.life.l1,.trusts.l1{stroke:#a35200}
.h.l2,.dot.l2{fill:#6f42c1}.life.l2,.trusts.l2{stroke:#6f42c1}
.h.l3,.dot.l3{fill:#0b7a75}.life.l3,.trusts.l3{stroke:#0b7a75}
.h.l4,.dot.l4{fill:#a3246f}.life.l4,.trusts.l4{stroke:#a3246f}
.waitdot.l0,.waitdot.l1,.waitdot.l2,.waitdot.l3,.waitdot.l4{fill:#fff}
.paper{fill:#ffffff}.good{fill:#1a7f45}
@media (prefers-color-scheme:dark){
.m,.s{fill:#e4e7eb}.q{fill:#8b949e}.b{fill:#ff8a98}
.rule{stroke:#272c33}.bad{fill:#ff5c72}.badbox{fill:#43161e}
.holds{stroke:#3fb970;opacity:.32}.waits,.waitdot{stroke:#e0a93a}
.h.l0,.dot.l0{fill:#6cb2f5}.life.l0,.trusts.l0{stroke:#6cb2f5}
.h.l1,.dot.l1{fill:#f0a35e}.life.l1,.trusts.l1{stroke:#f0a35e}
.h.l2,.dot.l2{fill:#b79bf2}.life.l2,.trusts.l2{stroke:#b79bf2}
.h.l3,.dot.l3{fill:#4fc4bd}.life.l3,.trusts.l3{stroke:#4fc4bd}
.h.l4,.dot.l4{fill:#f08cc6}.life.l4,.trusts.l4{stroke:#f08cc6}
.waitdot.l0,.waitdot.l1,.waitdot.l2,.waitdot.l3,.waitdot.l4{fill:#171b20}
.paper{fill:#171b20}.good{fill:#5fd38d}
}
)";
}

std::string panel_svg(const Chronicle& panel, int width) {
    const Drawing drawing(panel, width);
    std::string out = open_svg(width, drawing.height(), panel.title + ". " + panel.verdict);
    drawing.draw(out, 0);
    return out + "</svg>\n";
}

std::string svg_of(const Picture& picture) {
    std::size_t lanes = 2;
    for (const Chronicle& panel : picture.panels)
        lanes = std::max(lanes, panel.lanes.size());
    const int width = std::max(640, static_cast<int>(lanes) * 150 + 170);
    constexpr int margin = 24;
    const int letters = (width - 2 * margin) / 8;

    std::string body;
    auto to = std::back_inserter(body);
    int y = 44;
    fmt::format_to(to,
                   "<text class=\"m\" style=\"font-size:17px;font-weight:700\" x=\"{}\" "
                   "y=\"{}\">{}</text>\n",
                   margin, y, escaped(picture.title));
    for (const Chronicle& panel : picture.panels) {
        y += 40;
        fmt::format_to(to,
                       "<text class=\"s\" style=\"font-size:14px\" x=\"{}\" y=\"{}\">{}</text>\n",
                       margin, y, escaped(panel.title));
        y += 8;
        const Drawing drawing(panel, width - 2 * margin);
        fmt::format_to(to, "<g transform=\"translate({} 0)\">", margin);
        drawing.draw(body, y);
        body += "</g>";
        y += drawing.height() + 16;
        for (const std::string& line : wrapped(panel.verdict, letters)) {
            fmt::format_to(
                to, "<text class=\"m {}\" style=\"font-weight:700\" x=\"{}\" y=\"{}\">{}</text>\n",
                panel.went_wrong ? "b" : "good", margin, y, escaped(line));
            y += 18;
        }
    }
    const int height = y + margin;
    return open_svg(width, height, picture.title) + "<style>" + drawing_style() + "</style>\n" +
           fmt::format("<rect class=\"paper\" width=\"{}\" height=\"{}\"/>\n", width, height) +
           body + "</svg>\n";
}

} // namespace demo
