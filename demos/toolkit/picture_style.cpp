#include "toolkit/drawing.hpp"
#include "toolkit/picture.hpp"

#include <algorithm>

namespace demo {
namespace {

bool any(const Picture& picture, Stretch::Kind kind) {
    for (const Chronicle& panel : picture.panels)
        for (const Stretch& stretch : panel.stretches)
            if (stretch.kind == kind)
                return true;
    return false;
}

template <class Test>
bool any_moment(const Picture& picture, Test&& test) {
    return std::any_of(picture.panels.begin(), picture.panels.end(), [&](const Chronicle& panel) {
        return std::any_of(panel.moments.begin(), panel.moments.end(), test);
    });
}

bool any_kept(const Picture& picture) {
    for (const Chronicle& panel : picture.panels)
        for (const Stretch& stretch : panel.stretches)
            if (stretch.kind == Stretch::Kind::holds && stretch.last == Stretch::never)
                return true;
    return false;
}

} // namespace

std::string drawing_style() {
    // Light first; the same names again for dark screens. No variables: not every viewer has them.
    // Words have a contrast of 4.5 and more to what is behind them, lines that mean something of 3.
    return R"(
.m,.q,.h,.s{font:13px ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#24292f}
.q{fill:#5f6871}.t{font-size:12px}
.p,.k{font:15px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#24292f}
.k{font-size:13.5px;fill:#5f6871}.h,.s,.b,.good{font-weight:700}.b{fill:#b3132b}
.life{stroke-width:1.5;opacity:.4}.rule{stroke:#eceae4}
.trusts{stroke-width:5;opacity:.8;stroke-linecap:round}
.holds{stroke-width:1.5;stroke:#24824a;fill:#2f9e58;fill-opacity:.2}
.waits{stroke-width:4;stroke:#a86f00;stroke-dasharray:.1 8;stroke-linecap:round}
.gives{stroke-width:2;stroke:#24824a;fill:none}.tip{fill:#24824a}
.end{stroke-width:3;stroke:#24292f;stroke-linecap:round}
.bad{fill:#d11f3a}.badbox{fill:#fde7ea}
.h.l0,.dot.l0{fill:#1f6bb5}.life.l0,.trusts.l0{stroke:#1f6bb5}
.h.l1,.dot.l1{fill:#a35200}.life.l1,.trusts.l1{stroke:#a35200}
.h.l2,.dot.l2{fill:#6f42c1}.life.l2,.trusts.l2{stroke:#6f42c1}
.h.l3,.dot.l3{fill:#0b6f6a}.life.l3,.trusts.l3{stroke:#0b6f6a}
.h.l4,.dot.l4{fill:#a3246f}.life.l4,.trusts.l4{stroke:#a3246f}
.waitdot.waitdot{fill:#fff;stroke:#a86f00;stroke-width:2}
.paper{fill:#fff}.good{fill:#17683b}
@media (prefers-color-scheme:dark){
.m,.s,.p{fill:#e4e7eb}.q,.k{fill:#9aa4ae}.b{fill:#ff8a98}
.rule{stroke:#272c33}.bad{fill:#ff5c72}.badbox{fill:#43161e}
.holds{stroke:#3fb970;fill:#3fb970}.waits{stroke:#e0a93a}
.gives{stroke:#5fd38d}.tip{fill:#5fd38d}.end{stroke:#e4e7eb}
.h.l0,.dot.l0{fill:#6cb2f5}.life.l0,.trusts.l0{stroke:#6cb2f5}
.h.l1,.dot.l1{fill:#f0a35e}.life.l1,.trusts.l1{stroke:#f0a35e}
.h.l2,.dot.l2{fill:#b79bf2}.life.l2,.trusts.l2{stroke:#b79bf2}
.h.l3,.dot.l3{fill:#4fc4bd}.life.l3,.trusts.l3{stroke:#4fc4bd}
.h.l4,.dot.l4{fill:#f08cc6}.life.l4,.trusts.l4{stroke:#f08cc6}
.waitdot.waitdot{fill:#171b20;stroke:#e0a93a}
.paper{fill:#171b20}.good{fill:#6fdc9a}
}
)";
}

std::vector<KeyItem> key_of(const Picture& picture) {
    std::vector<KeyItem> key{{"<line class=\"life l0\" x1=\"11\" y1=\"0\" x2=\"11\" y2=\"22\"/>"
                              "<circle class=\"dot l0\" cx=\"11\" cy=\"11\" r=\"5\"/>",
                              "one step of a process; time goes down"}};
    if (any(picture, Stretch::Kind::runs))
        key.push_back({"<line class=\"trusts l0\" x1=\"11\" y1=\"4\" x2=\"11\" y2=\"18\"/>",
                       "from its first step to its last: the longer, the slower"});
    if (any(picture, Stretch::Kind::trusts))
        key.push_back({"<line class=\"trusts l0\" x1=\"11\" y1=\"4\" x2=\"11\" y2=\"18\"/>",
                       "from a load to its store: works with a copy that may be old"});
    if (any(picture, Stretch::Kind::holds))
        key.push_back(
            {"<rect class=\"holds\" x=\"3\" y=\"2\" width=\"16\" height=\"18\" rx=\"8\"/>",
             "holds a lock or a permit"});
    if (any_kept(picture))
        key.push_back(
            {"<path class=\"holds\" d=\"M3 21V11a8 8 0 0 1 16 0V21\"/>", "holds it for ever"});
    if (any(picture, Stretch::Kind::waits))
        key.push_back({"<circle class=\"dot waitdot\" cx=\"11\" cy=\"5\" r=\"4\"/>"
                       "<line class=\"waits\" x1=\"11\" y1=\"12\" x2=\"11\" y2=\"21\"/>",
                       "waits"});
    for (const Chronicle& panel : picture.panels)
        if (!panel.hand_overs.empty()) {
            key.push_back({"<path class=\"gives\" d=\"M3 4V8q0 4 4 4h6q4 0 4 4\"/>"
                           "<path class=\"tip\" d=\"M12.5 15h9l-4.5 7z\"/>",
                           "gives it back, and the other one goes on"});
            break;
        }
    if (any_moment(picture, [](const Moment& moment) { return moment.is_end; }))
        key.push_back({"<path class=\"end\" d=\"M5 5l12 12m0 -12l-12 12\"/>", "is killed"});
    if (any_moment(picture, [](const Moment& moment) { return moment.is_bad; }))
        key.push_back({"<rect class=\"badbox\" x=\"1\" y=\"3\" width=\"20\" height=\"16\" "
                       "rx=\"5\"/><circle class=\"bad\" cx=\"11\" cy=\"11\" r=\"5\"/>",
                       "here it goes wrong"});
    return key;
}

} // namespace demo
