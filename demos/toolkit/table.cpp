#include "toolkit/table.hpp"

#include "toolkit/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace demo {

Table::Table(std::vector<Column> columns_to_have) : columns_(std::move(columns_to_have)) {
    int total = 0;
    for (Column& column : columns_) {
        column.width = std::max(column.width, columns(column.title));
        total += column.width;
    }
    const int gaps = static_cast<int>(columns_.size()) - 1;
    const auto fits = [&] { return indent_ + total + gaps * gap_ <= terminal().width; };
    if (terminal().width >= 76)
        gap_ = 3;
    while (!fits() && gap_ > 1)
        --gap_;
    if (!fits())
        indent_ = 0;
}

void Table::print_header() const {
    std::vector<Cell> titles;
    int total = static_cast<int>(columns_.size() - 1) * gap_;
    for (const Column& column : columns_) {
        titles.push_back({column.title, Ink::quiet});
        total += column.width;
    }
    print_row(titles);
    fmt::print("{}{}\n", repeat(" ", indent_),
               paint(Ink::quiet, repeat(glyphs().rule, std::min(total, terminal().width))));
}

void Table::print_row(const std::vector<Cell>& cells) const {
    std::string line = repeat(" ", indent_);
    for (std::size_t i = 0; i < cells.size(); ++i) {
        if (i > 0)
            line += repeat(" ", gap_);
        const std::string padding = repeat(" ", columns_[i].width - columns(cells[i].text));
        const bool left = columns_[i].align == Align::left;
        line += left ? "" : padding;
        line += paint(cells[i].ink, cells[i].text);
        line += left && i + 1 < cells.size() ? padding : "";
    }
    fmt::print("{}\n", line);
    std::fflush(stdout);
}

} // namespace demo
