#include "toolkit/picture.hpp"
#include "toolkit/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace demo {
namespace {

constexpr const char* page_style = R"(
:root{color-scheme:light dark;--paper:#fff;--desk:#f4f2ec;--ink:#24292f;--quiet:#59626c;--line:#e2dfd6;
--bad:#b3132b;--badbox:#fde7ea;--good:#17683b;--goodbox:#e5f5ea}
@media (prefers-color-scheme:dark){:root{--paper:#171b20;--desk:#0e1114;--ink:#e4e7eb;--quiet:#9aa4ae;
--line:#2a3038;--bad:#ff8a98;--badbox:#43161e;--good:#6fdc9a;--goodbox:#11301e}}
*{box-sizing:border-box}
body{margin:0;background:var(--desk);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 20px 48px}
h1{font-size:clamp(1.35rem,4vw,1.9rem);line-height:1.2;margin:0 0 .4em}
.lead{max-width:46em;margin:0 0 1.4em;color:var(--quiet)}
.panels{display:grid;gap:20px;grid-template-columns:minmax(0,1fr)}
section{background:var(--paper);border:1px solid var(--line);border-radius:12px;padding:16px 18px 18px;
min-width:0}
h2{font-size:1.05rem;margin:0 0 .5em}
section>svg{display:block;width:100%;height:auto;margin:0 auto}
.slim{display:none!important;max-width:440px}
.verdict{margin:14px 0 0;padding:10px 14px;border-radius:8px;font-weight:600}
.verdict.wrong{background:var(--badbox);color:var(--bad)}
.verdict.right{background:var(--goodbox);color:var(--good)}
.key{display:flex;flex-wrap:wrap;gap:6px 22px;margin:22px 0 8px;padding:0;list-style:none;
color:var(--quiet);font-size:.92rem}
.key li{display:flex;align-items:center;gap:8px}.key svg{flex:none}
p{max-width:46em}details{margin-top:18px}summary{cursor:pointer;color:var(--quiet)}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.88rem;margin:.6em 0 1.2em}
th,td{text-align:left;padding:3px 14px 3px 0;border-bottom:1px solid var(--line)}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
footer{margin-top:26px;color:var(--quiet);font-size:.85rem}
@media (min-width:1080px){.two{grid-template-columns:repeat(2,minmax(0,1fr));align-items:start}}
@media (max-width:640px){main{padding:18px 10px 36px}section{padding:12px 8px 14px}
section>h2{margin-left:4px}.broad{display:none!important}.slim{display:block!important}}
)";

std::string key_item(std::string_view shape, std::string_view text) {
    return fmt::format("<li><svg width=\"18\" height=\"22\" viewBox=\"0 0 18 22\" "
                       "aria-hidden=\"true\">{}</svg>{}</li>\n",
                       shape, escaped(text));
}

bool any(const Picture& picture, Stretch::Kind kind) {
    for (const Chronicle& panel : picture.panels)
        for (const Stretch& stretch : panel.stretches)
            if (stretch.kind == kind)
                return true;
    return false;
}

std::string key(const Picture& picture) {
    std::string out = "<ul class=\"key\">\n";
    out += key_item("<line class=\"life l0\" x1=\"9\" y1=\"0\" x2=\"9\" y2=\"22\"/>"
                    "<circle class=\"dot l0\" cx=\"9\" cy=\"11\" r=\"4.5\"/>",
                    "one step of a process; time goes down");
    if (any(picture, Stretch::Kind::trusts))
        out += key_item("<line class=\"trusts l0\" x1=\"9\" y1=\"3\" x2=\"9\" y2=\"19\"/>",
                        "from a load to its store: works with a copy that may be old");
    if (any(picture, Stretch::Kind::holds))
        out += key_item("<line class=\"holds\" x1=\"9\" y1=\"7\" x2=\"9\" y2=\"15\"/>",
                        "holds a lock or a permit");
    if (any(picture, Stretch::Kind::waits))
        out += key_item("<line class=\"waits\" x1=\"9\" y1=\"1\" x2=\"9\" y2=\"21\"/>", "waits");
    out += key_item("<rect class=\"badbox\" x=\"1\" y=\"4\" width=\"16\" height=\"14\" rx=\"4\"/>"
                    "<circle class=\"bad\" cx=\"9\" cy=\"11\" r=\"4\"/>",
                    "here it goes wrong");
    return out + "</ul>\n";
}

std::string events_table(const Chronicle& panel) {
    std::string out;
    auto to = std::back_inserter(out);
    fmt::format_to(to,
                   "<div class=\"scroll\"><table><caption>{}</caption><tr><th class=\"n\">time"
                   "</th><th>process</th><th>step</th><th class=\"n\">{}</th></tr>\n",
                   escaped(panel.title), escaped(panel.state_title));
    for (const Moment& moment : panel.moments)
        fmt::format_to(to,
                       "<tr><td class=\"n\">{} ns</td><td>{}</td><td>{}</td>"
                       "<td class=\"n\">{}</td></tr>\n",
                       grouped(moment.at_ns), escaped(panel.lanes[moment.lane]),
                       escaped(moment.text), escaped(moment.state));
    return out + "</table></div>\n";
}

} // namespace

std::string html_of(const Picture& picture) {
    std::size_t lanes = 0;
    for (const Chronicle& panel : picture.panels)
        lanes = std::max(lanes, panel.lanes.size());
    // Two panels side by side have room for few lanes.
    const bool beside = picture.panels.size() > 1 && lanes <= 3;
    const int broad = beside ? 580 : std::max(580, static_cast<int>(lanes) * 150 + 170);

    std::string out;
    auto to = std::back_inserter(out);
    fmt::format_to(to,
                   "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                   "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                   "<title>{0}: {1}</title>\n<style>{2}{3}</style>\n</head>\n<body>\n<main>\n"
                   "<h1>{1}</h1>\n<p class=\"lead\">{4}</p>\n<div class=\"panels{5}\">\n",
                   escaped(picture.demo), escaped(picture.title), page_style, drawing_style(),
                   escaped(picture.lead), beside ? " two" : "");
    for (const Chronicle& panel : picture.panels) {
        std::string broad_svg = panel_svg(panel, broad);
        std::string slim_svg = panel_svg(panel, 360);
        broad_svg.insert(4, fmt::format(" class=\"broad\" style=\"max-width:{}px\"", broad + 60));
        slim_svg.insert(4, " class=\"slim\"");
        fmt::format_to(to,
                       "<section>\n<h2>{}</h2>\n{}{}<p class=\"verdict {}\">{} {}</p>\n"
                       "</section>\n",
                       escaped(panel.title), broad_svg, slim_svg,
                       panel.went_wrong ? "wrong" : "right", panel.went_wrong ? "✗" : "✓",
                       escaped(panel.verdict));
    }
    out += "</div>\n" + key(picture);
    if (!picture.moral.empty())
        out += "<p>" + escaped(picture.moral) + "</p>\n";
    out += "<details><summary>The same as a table</summary>\n";
    for (const Chronicle& panel : picture.panels)
        out += events_table(panel);
    fmt::format_to(to,
                   "</details>\n<footer>Written by the demo {}: this is a real run of real "
                   "processes. Times were measured, in the order in which the steps were done, and "
                   "are not drawn to scale.</footer>\n</main>\n</body>\n</html>\n",
                   escaped(picture.demo));
    return out;
}

} // namespace demo
