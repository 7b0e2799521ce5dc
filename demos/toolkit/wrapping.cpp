#include "toolkit/drawing.hpp"
#include "toolkit/text.hpp"

#include <algorithm>

namespace demo {

std::vector<std::string> wrapped(std::string_view text, int width) {
    std::vector<std::string> lines;
    std::string line;
    while (!text.empty()) {
        std::size_t end = std::min(text.find(' '), text.size());
        std::string_view word = text.substr(0, end);
        if (columns(word) > width)
            if (const std::size_t hyphen = word.find('-'); hyphen != std::string_view::npos) {
                end = hyphen + 1;
                word = word.substr(0, end);
            }
        if (!line.empty() && columns(line) + 1 + columns(word) > width) {
            lines.push_back(line);
            line.clear();
        }
        line += line.empty() ? "" : " ";
        line += word;
        if (word.ends_with('-')) { // the rest of it is a line of its own
            lines.push_back(line);
            line.clear();
            text.remove_prefix(end);
            continue;
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    if (!line.empty())
        lines.push_back(line);
    return lines;
}

} // namespace demo
