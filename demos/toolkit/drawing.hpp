#pragma once

#include "toolkit/chronicle.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace demo {

/// One chronicle as a drawing: time goes down, a column for each process.
class Drawing {
public:
    /// \param width  in pixels; the drawing may become wider, if there are many processes
    Drawing(const Chronicle& panel, int width);

    [[nodiscard]] int width() const { return width_; }
    [[nodiscard]] int height() const { return height_; }
    /// Appends SVG; the drawing's upper end is at `top`.
    void draw(std::string& out, int top) const;

private:
    void place_rows();
    void place_to_scale();
    [[nodiscard]] double lane_x(std::size_t lane) const;
    [[nodiscard]] double end_of_life(std::size_t lane) const;

    void rules(std::string& out) const;
    void ticks(std::string& out) const;
    void heads(std::string& out) const;
    void bar(std::string& out, const Stretch& stretch) const;
    void hand_over(std::string& out, const HandOver& given) const;
    void moment(std::string& out, std::size_t index) const;
    void point(std::string& out, const Moment& moment, double x, int y) const;

    const Chronicle& panel_;
    int width_;
    int times_ = 0; ///< width of the first column
    int state_ = 0; ///< and of the last one
    double lane_ = 0;
    int text_columns_ = 0;
    int height_ = 0;
    std::vector<int> rows_;                       ///< each moment's y
    std::vector<std::vector<std::string>> texts_; ///< and its lines
};

/// Broken at blanks into lines of that many columns, and longer words after hyphens.
[[nodiscard]] std::vector<std::string> wrapped(std::string_view text, int width);

/// The style rules of drawings and of their keys, light and dark.
[[nodiscard]] std::string drawing_style();

/// What the signs of a picture mean.
struct KeyItem {
    std::string shape; ///< SVG, 22 pixels wide and high
    std::string text;
};
struct Picture;
[[nodiscard]] std::vector<KeyItem> key_of(const Picture& picture);

} // namespace demo
