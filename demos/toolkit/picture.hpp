#pragma once

#include "toolkit/chronicle.hpp"

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace demo {

/// What a demo has to show: usually one chronicle without the cure, and one with it.
struct Picture {
    std::string demo;
    std::string title;
    std::string lead;
    std::string moral;
    std::vector<Chronicle> panels;
    bool forced = false; ///< the order of steps was, by gates
};

/// The file that --trace names. It is opened before the demo begins, so that a wrong name costs no
/// time; its ending says what it will be.
class PictureFile {
public:
    /// \param path  "": no picture is wanted
    /// \throws UsageError for an ending other than .html, .svg, .json; std::runtime_error when it
    ///         cannot be opened
    explicit PictureFile(const std::string& path);
    ~PictureFile();
    PictureFile(const PictureFile&) = delete;
    PictureFile& operator=(const PictureFile&) = delete;

    [[nodiscard]] bool is_wanted() const { return file_ != nullptr; }
    /// \throws std::runtime_error when it cannot be written
    void write(const Picture& picture);

private:
    std::string path_;
    std::string ending_;
    std::string part_path_; ///< where it is written, and from where it is moved to its place
    std::FILE* file_ = nullptr;
};

/// A page in one file: works without a network, light and dark, on a narrow screen and a wide one.
[[nodiscard]] std::string html_of(const Picture& picture);
/// A drawing, all panels below each other.
[[nodiscard]] std::string svg_of(const Picture& picture);
/// Chrome's trace-event format, as Perfetto opens it: a process for each panel, a thread for each
/// lane.
[[nodiscard]] std::string json_of(const Picture& picture);

/// A drawing of one panel, for html_of(). \param width  in pixels
[[nodiscard]] std::string panel_svg(const Chronicle& panel, int width);
/// Where the picture comes from, in a sentence or two for its foot.
[[nodiscard]] std::string provenance(const Picture& picture);
/// The text with &, <, > and quotes replaced.
[[nodiscard]] std::string escaped(std::string_view text);

} // namespace demo
