#include "toolkit/drawing.hpp"
#include "toolkit/picture.hpp"
#include "toolkit/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace demo {
namespace {

constexpr int margin = 24;
constexpr double letter = 8.2; // of the text at 15 px, on the safe side

std::string open_svg(int width, int height, std::string_view label) {
    return fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" "
                       "width=\"{0}\" height=\"{1}\" role=\"img\" aria-label=\"{2}\">\n",
                       width, height, escaped(label));
}

/// A drawing that grows downwards.
class Sheet {
public:
    explicit Sheet(int width) : width_(width) {}

    void space(int height) { y_ += height; }
    void paragraph(std::string_view style, std::string_view text, int size) {
        const bool bold = style.find(' ') != style.npos;
        const int room =
            static_cast<int>((width_ - 2 * margin) / (bold ? 1.14 : 1) / letter / size * 15);
        for (const std::string& line : wrapped(text, room)) {
            y_ += size + 6;
            fmt::format_to(std::back_inserter(body_),
                           "<text class=\"{}\" style=\"font-size:{}px\" x=\"{}\" y=\"{}\">{}"
                           "</text>\n",
                           style, size, margin, y_, escaped(line));
        }
    }
    void drawing(const Chronicle& panel) {
        const Drawing drawing(panel, width_ - 2 * margin);
        body_ += fmt::format("<g transform=\"translate({} 0)\">", margin);
        drawing.draw(body_, y_);
        body_ += "</g>\n";
        y_ += drawing.height();
    }
    void key(const std::vector<KeyItem>& items) {
        for (const KeyItem& item : items) {
            y_ += 27;
            fmt::format_to(std::back_inserter(body_),
                           "<g transform=\"translate({} {})\">{}<text class=\"k\" x=\"32\" "
                           "y=\"16\">{}</text></g>\n",
                           margin, y_ - 20, item.shape, escaped(item.text));
        }
    }
    [[nodiscard]] std::string finish(std::string_view title, std::string_view description) const {
        const int height = y_ + margin;
        return open_svg(width_, height, title) +
               fmt::format("<title>{}</title>\n<desc>{}</desc>\n<style>{}</style>\n"
                           "<rect class=\"paper\" width=\"{}\" height=\"{}\"/>\n",
                           escaped(title), escaped(description), drawing_style(), width_, height) +
               body_ + "</svg>\n";
    }

private:
    int width_;
    int y_ = 18;
    std::string body_;
};

} // namespace

std::string panel_svg(const Chronicle& panel, int width) {
    const Drawing drawing(panel, width);
    std::string out =
        open_svg(drawing.width(), drawing.height(), panel.title + ". " + panel.verdict);
    drawing.draw(out, 0);
    return out + "</svg>\n";
}

std::string svg_of(const Picture& picture) {
    int widest = 640;
    for (const Chronicle& panel : picture.panels)
        widest = std::max(widest, 150 * static_cast<int>(panel.lanes.size()) + 170);
    Sheet sheet(widest);
    std::string description = picture.lead;
    sheet.paragraph("p h", picture.title, 19);
    sheet.space(4);
    sheet.paragraph("p", picture.lead, 15);
    for (const Chronicle& panel : picture.panels) {
        sheet.space(20);
        sheet.paragraph("p s", panel.title, 16);
        sheet.space(4);
        sheet.drawing(panel);
        sheet.paragraph(panel.went_wrong ? "p b" : "p good",
                        (panel.went_wrong ? "✗ " : "✓ ") + panel.verdict, 15);
        description += " " + panel.title + ": " + panel.verdict;
    }
    sheet.space(10);
    sheet.key(key_of(picture));
    sheet.space(8);
    sheet.paragraph("k", provenance(picture), 13);
    return sheet.finish(picture.title, description);
}

} // namespace demo
