#include "toolkit/drawing.hpp"
#include "toolkit/picture.hpp"
#include "toolkit/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace demo {
namespace {

constexpr const char* page_style = R"(
:root{color-scheme:light dark;--paper:#fff;--desk:#f4f2ec;--ink:#24292f;--quiet:#59626c;--line:#e2dfd6;
--bad:#b3132b;--badbox:#fde7ea;--good:#17683b;--goodbox:#e5f5ea;--link:#1f6bb5}
@media (prefers-color-scheme:dark){:root{--paper:#171b20;--desk:#0e1114;--ink:#e4e7eb;--quiet:#9aa4ae;
--line:#2a3038;--bad:#ff8a98;--badbox:#43161e;--good:#6fdc9a;--goodbox:#11301e;--link:#6cb2f5}}
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
section svg{display:block;width:100%;height:auto;margin:0 auto}
.slim{display:none}
.verdict{max-width:none;margin:14px 0 0;padding:10px 14px;border-radius:8px;font-weight:600}
.verdict.wrong{background:var(--badbox);color:var(--bad)}
.verdict.right{background:var(--goodbox);color:var(--good)}
.key{display:flex;flex-wrap:wrap;gap:6px 26px;margin:0 0 18px;padding:0;list-style:none;
color:var(--quiet);font-size:.92rem}
.key li{display:flex;align-items:center;gap:8px}.key svg{flex:none}
p{max-width:46em}.moral{margin:20px 0 0;font-size:1.06rem}details{margin-top:18px}summary{cursor:pointer;color:var(--quiet)}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.88rem;margin:.6em 0 1.2em}
th,td{text-align:left;padding:3px 14px 3px 0;border-bottom:1px solid var(--line)}
caption{text-align:left;font-weight:600;padding:6px 0}td.wrong{color:var(--bad);font-weight:600}
summary:focus-visible,.scroll:focus-visible{outline:3px solid var(--link);outline-offset:2px}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
footer{margin-top:26px;color:var(--quiet);font-size:.85rem}
@media (min-width:1080px){.two{grid-template-columns:repeat(2,minmax(0,1fr));align-items:start}}
@media (max-width:640px){main{padding:18px 10px 36px}section{padding:12px 8px 14px}
section>h2{margin-left:4px}.broad{display:none}.slim{display:block}}
)";

std::string key(const Picture& picture) {
    std::string out = "<ul class=\"key\" aria-label=\"How to read the pictures\">\n";
    for (const KeyItem& item : key_of(picture))
        out += fmt::format("<li><svg width=\"22\" height=\"22\" viewBox=\"0 0 22 22\" "
                           "aria-hidden=\"true\">{}</svg>{}</li>\n",
                           item.shape, escaped(item.text));
    return out + "</ul>\n";
}

/// For a broad screen, or for a slim one.
std::string figure(const Chronicle& panel, std::string_view kind, int width) {
    std::string svg = panel_svg(panel, width);
    // More processes than there is room for: it can be moved sideways, by the keyboard too.
    const int needs = Drawing(panel, width).width();
    const bool moves = kind == "slim" && needs > width;
    svg.insert(4, moves ? fmt::format(" style=\"width:{}px\"", needs)
                        : fmt::format(" style=\"max-width:{}px\"", needs + 80));
    return fmt::format("<div class=\"{}{}\"{}>{}</div>\n", kind, moves ? " scroll" : "",
                       moves ? fmt::format(" tabindex=\"0\" role=\"region\" aria-label=\"{}\"",
                                           escaped(panel.title))
                             : "",
                       svg);
}

std::string events_table(const Chronicle& panel) {
    std::string out;
    auto to = std::back_inserter(out);
    fmt::format_to(to,
                   "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table>"
                   "<caption>{0}</caption><tr><th scope=\"col\" class=\"n\">time</th>"
                   "<th scope=\"col\">process</th><th scope=\"col\">step</th>{1}</tr>\n",
                   escaped(panel.title),
                   panel.state_title.empty() ? ""
                                             : fmt::format("<th scope=\"col\" class=\"n\">{}</th>",
                                                           escaped(panel.state_title)));
    for (const Moment& moment : panel.moments)
        fmt::format_to(to, "<tr><td class=\"n\">{} ns</td><td>{}</td><td{}>{}</td>{}</tr>\n",
                       grouped(moment.at_ns), escaped(panel.lanes[moment.lane]),
                       moment.is_bad ? " class=\"wrong\"" : "",
                       escaped(marked_text(moment) + moment.note),
                       panel.state_title.empty()
                           ? ""
                           : fmt::format("<td class=\"n\">{}</td>", escaped(moment.state)));
    return out + "</table></div>\n";
}

} // namespace

std::string html_of(const Picture& picture) {
    std::size_t lanes = 0;
    for (const Chronicle& panel : picture.panels)
        lanes = std::max(lanes, panel.lanes.size());
    // Two panels side by side have room for few lanes.
    const bool beside = picture.panels.size() > 1 && lanes <= 3;
    const int broad = beside ? 580 : std::clamp(static_cast<int>(lanes) * 150 + 170, 580, 1140);

    std::string out;
    auto to = std::back_inserter(out);
    fmt::format_to(to,
                   "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                   "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                   "<title>{0}: {1}</title>\n<style>{2}{3}</style>\n</head>\n<body>\n<main>\n"
                   "<h1>{1}</h1>\n<p class=\"lead\">{4}</p>\n{6}<div class=\"panels{5}\">\n",
                   escaped(picture.demo), escaped(picture.title), page_style, drawing_style(),
                   escaped(picture.lead), beside ? " two" : "", key(picture));
    for (const Chronicle& panel : picture.panels)
        fmt::format_to(to,
                       "<section>\n<h2>{}</h2>\n{}{}<p class=\"verdict {}\">{} {}</p>\n"
                       "</section>\n",
                       escaped(panel.title), figure(panel, "broad", broad),
                       figure(panel, "slim", 360), panel.went_wrong ? "wrong" : "right",
                       panel.went_wrong ? "✗" : "✓", escaped(panel.verdict));
    out += "</div>\n";
    if (!picture.moral.empty())
        out += "<p class=\"moral\">" + escaped(picture.moral) + "</p>\n";
    out += "<details><summary>The same as a table</summary>\n";
    for (const Chronicle& panel : picture.panels)
        out += events_table(panel);
    fmt::format_to(to, "</details>\n<footer>{}</footer>\n</main>\n</body>\n</html>\n",
                   escaped(provenance(picture)));
    return out;
}

} // namespace demo
