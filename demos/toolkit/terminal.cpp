#include "toolkit/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace demo {
namespace {

std::string_view variable(const char* name) {
    const char* const value = std::getenv(name);
    return value != nullptr ? value : "";
}

int window_width(bool tty) {
    winsize window{};
    if (tty && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0)
        return window.ws_col;
    const std::string_view columns = variable("COLUMNS");
    int width = 0;
    const auto [end, error] =
        std::from_chars(columns.data(), columns.data() + columns.size(), width);
    return error == std::errc{} && end == columns.data() + columns.size() && width > 0 ? width : 80;
}

bool locale_is_utf8() {
    for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
        const std::string_view value = variable(name);
        if (!value.empty()) // the first that is set decides
            return ::strcasestr(value.data(), "utf-8") != nullptr ||
                   ::strcasestr(value.data(), "utf8") != nullptr;
    }
    return false;
}

std::string_view code(Ink ink) {
    switch (ink) {
    case Ink::plain:
        return "";
    case Ink::strong:
        return "\033[1m";
    case Ink::quiet:
        return "\033[90m";
    case Ink::good:
        return "\033[32m";
    case Ink::bad:
        return "\033[1;31m";
    case Ink::first:
        return "\033[36m";
    case Ink::second:
        return "\033[33m";
    }
    return "";
}

} // namespace

const Terminal& terminal() {
    static const Terminal the_one = [] {
        Terminal made;
        made.tty = ::isatty(STDOUT_FILENO) == 1;
        made.colour = made.tty && variable("NO_COLOR").empty() && variable("TERM") != "dumb";
        made.unicode = locale_is_utf8();
        made.width = std::clamp(window_width(made.tty), 60, 96);
        return made;
    }();
    return the_one;
}

std::string paint(Ink ink, std::string_view text) {
    if (!terminal().colour || ink == Ink::plain || text.empty())
        return std::string(text);
    return std::string(code(ink)).append(text).append("\033[0m");
}

const Glyphs& glyphs() {
    static constexpr Glyphs drawn{"─", "█", "▌", "╷", "│", "╵", "┊", "✓", "✗", "·", "…"};
    static constexpr Glyphs ascii{"-", "#", "", ".", "|", "'", ":", "ok", "x", "-", "..."};
    return terminal().unicode ? drawn : ascii;
}

} // namespace demo
