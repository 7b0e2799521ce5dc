#pragma once

#include <string>
#include <string_view>

/// \file
/// The terminal that a demo writes to, and the few inks that all demos use.

namespace demo {

/// Standard output, looked at once.
struct Terminal {
    bool tty = false;
    bool colour = false;  ///< a tty, and neither NO_COLOR nor TERM=dumb
    bool unicode = false; ///< the locale's character set is UTF-8
    int width = 80;       ///< columns to use: the window's, 60 at least and 96 at most
};
[[nodiscard]] const Terminal& terminal();

enum class Ink { plain, strong, quiet, good, bad, first, second };

/// The text in that ink, or as it is where there are no colours.
[[nodiscard]] std::string paint(Ink ink, std::string_view text);

/// Characters for drawing; plain ASCII where the locale is not UTF-8.
struct Glyphs {
    std::string_view rule, bar, half_bar, opens, goes_on, closes, skipped, tick, cross, dot,
        ellipsis;
};
[[nodiscard]] const Glyphs& glyphs();

} // namespace demo
