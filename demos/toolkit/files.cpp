#include "toolkit/files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace demo {
namespace {

namespace fs = std::filesystem;

/// \return whether the directory itself could be read
bool search(const fs::path& directory, Sources& found) {
    std::error_code error;
    fs::directory_iterator entries(directory, error);
    std::vector<fs::path> below;
    while (!error && entries != fs::directory_iterator()) {
        const fs::file_status status = entries->symlink_status(error);
        if (fs::is_symlink(status))
            ++found.links;
        else if (fs::is_directory(status))
            below.push_back(entries->path());
        else if (fs::is_regular_file(status))
            found.files.push_back({entries->path().string(), false});
        entries.increment(error);
    }
    if (error)
        found.unreadable.push_back(fmt::format("{}: {}", directory.string(), error.message()));
    for (const fs::path& path : below)
        search(path, found);
    return !error;
}

} // namespace

Sources find_sources(const std::vector<std::string>& names) {
    Sources found;
    for (const std::string& name : names) {
        const bool harmless = name.starts_with('/') || name.starts_with('.');
        const std::string path = harmless ? name : "./" + name;
        std::error_code ignored; // what is not there will be said when it is opened
        if (!fs::is_directory(path, ignored)) {
            found.files.push_back({path, true});
            continue;
        }
        const auto first = std::ssize(found.files);
        found.named_unreadable |= !search(path, found);
        std::sort(found.files.begin() + first, found.files.end(),
                  [](const Source& a, const Source& b) { return a.path < b.path; });
    }
    return found;
}

} // namespace demo
