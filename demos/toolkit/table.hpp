#pragma once

#include "toolkit/terminal.hpp"

#include <string>
#include <vector>

namespace demo {

/// A table that is printed row by row, while the rows come into being.
class Table {
public:
    enum class Align { left, right };
    struct Column {
        std::string title;
        int width = 0; ///< of the widest cell to come
        Align align = Align::right;
    };
    struct Cell {
        std::string text;
        Ink ink = Ink::plain;
    };

    explicit Table(std::vector<Column> columns);
    void print_header() const;
    void print_row(const std::vector<Cell>& cells) const;

private:
    std::vector<Column> columns_;
    int gap_ = 2; ///< between columns; narrower where the terminal is
    int indent_ = 2;
};

} // namespace demo
