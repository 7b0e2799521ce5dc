#include "toolkit/picture.hpp"

#include "toolkit/options.hpp"
#include "toolkit/run.hpp"
#include "toolkit/text.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace demo {
namespace {

[[noreturn]] void cannot(const std::string& path, int error) {
    throw std::runtime_error(
        fmt::format("cannot write {}: {}", printable(path), std::strerror(error)));
}

} // namespace

PictureFile::PictureFile(const std::string& path) : path_(path) {
    if (path.empty())
        return;
    ending_ = std::filesystem::path(path).extension().string();
    if (ending_ != ".html" && ending_ != ".svg" && ending_ != ".json")
        throw UsageError(fmt::format("--trace takes a file that ends in .html, .svg or .json, not "
                                     "'{}'",
                                     printable(path, 60)));
    std::error_code unknown; // where nobody may look: fopen() says why
    if (std::filesystem::is_directory(path, unknown))
        cannot(path, EISDIR);
    // Somewhere else first: a demo that is interrupted leaves an old picture as it was.
    part_path_ = fmt::format("{}.{}.part", path, ::getpid());
    remove_if_interrupted(part_path_.c_str());
    file_ = std::fopen(part_path_.c_str(), "we");
    const int error = errno;
    // Without a name, so that nothing is left behind if the demo is killed; write() makes it anew.
    if (file_ != nullptr)
        ::unlink(part_path_.c_str());
    remove_if_interrupted(nullptr);
    if (file_ == nullptr)
        cannot(path, error);
}

PictureFile::~PictureFile() {
    if (file_ != nullptr)
        std::fclose(file_);
}

void PictureFile::write(const Picture& picture) {
    const std::string text = ending_ == ".html"  ? html_of(picture)
                             : ending_ == ".svg" ? svg_of(picture)
                                                 : json_of(picture);
    remove_if_interrupted(part_path_.c_str());
    std::FILE* const old = std::exchange(file_, std::fopen(part_path_.c_str(), "we"));
    std::fclose(old);
    const bool written = file_ != nullptr && std::fputs(text.c_str(), file_) >= 0;
    int error = errno;
    const bool closed = file_ != nullptr && std::fclose(file_) == 0;
    if (!closed && written)
        error = errno;
    file_ = nullptr;
    const bool moved = written && closed && ::rename(part_path_.c_str(), path_.c_str()) == 0;
    if (!moved) {
        if (written && closed)
            error = errno;
        ::unlink(part_path_.c_str());
    }
    remove_if_interrupted(nullptr);
    if (!moved)
        cannot(path_, error);
}

std::string provenance(const Picture& picture) {
    return fmt::format("Written by the demo {}: real processes, {}. Times were measured, in the "
                       "order in which the steps took effect{}.",
                       picture.demo,
                       picture.forced ? "whose order of steps was forced" : "as they ran",
                       std::any_of(picture.panels.begin(), picture.panels.end(),
                                   [](const Chronicle& panel) { return panel.ns_per_row > 0; })
                           ? ", and are drawn to scale"
                           : ", and are not drawn to scale");
}

std::string escaped(std::string_view text) {
    std::string result;
    for (const char c : text)
        switch (c) {
        case '&':
            result += "&amp;";
            break;
        case '<':
            result += "&lt;";
            break;
        case '>':
            result += "&gt;";
            break;
        case '"':
            result += "&quot;";
            break;
        default:
            result += c;
        }
    return result;
}

} // namespace demo
