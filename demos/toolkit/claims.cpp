#include "toolkit/claims.hpp"

#include "toolkit/run.hpp"
#include "toolkit/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string>

namespace demo {
namespace {

/// The text behind a mark, its further lines below its first one.
void print_marked(std::string_view mark, Ink mark_ink, std::string_view text, Ink ink) {
    const int indent = 2 + columns(mark) + 1;
    const int width = std::min(terminal().width, 76) - indent;
    std::string line;
    bool first = true;
    const auto put = [&] {
        fmt::print("{}{}\n",
                   first ? fmt::format("  {} ", paint(mark_ink, mark)) : repeat(" ", indent),
                   paint(ink, line));
        first = false;
        line.clear();
    };
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        if (!line.empty() && columns(line) + 1 + columns(text.substr(0, end)) > width)
            put();
        line += line.empty() ? "" : " ";
        line += text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    if (!line.empty())
        put();
    std::fflush(stdout); // before a child may inherit it
}

} // namespace

bool Claims::check(bool holds, std::string_view claim, std::string_view seen) {
    begin();
    const std::string text =
        seen.empty() ? std::string(claim) : fmt::format("{} ({})", claim, seen);
    print_marked(holds ? glyphs().tick : glyphs().cross, holds ? Ink::good : Ink::bad, text,
                 holds ? Ink::plain : Ink::bad);
    broken_ += holds ? 0 : 1;
    return holds;
}

void Claims::note(std::string_view text) {
    begin();
    print_marked(glyphs().dot, Ink::quiet, text, Ink::plain);
}

int Claims::exit_code() const noexcept {
    return broken_ == 0 ? success : failure;
}

void Claims::begin() {
    if (!begun_)
        heading("Checked on this run");
    begun_ = true;
}

} // namespace demo
