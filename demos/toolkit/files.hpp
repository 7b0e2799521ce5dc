#pragma once

#include <string>
#include <vector>

namespace demo {

/// A file to count.
struct Source {
    std::string path;      ///< begins with '/' or '.', so that no tool takes it for an option
    bool is_named = false; ///< given on the command line, not found in a directory
};

/// What a search found.
struct Sources {
    std::vector<Source> files;
    std::vector<std::string> unreadable; ///< directories, each with the reason
    bool named_unreadable = false;       ///< one of them was given on the command line
    std::size_t links = 0;               ///< symbolic links that were left out
};

/// The files below the names given: a file is taken as it is, a directory with all below it.
///
/// Below a directory only regular files count, in the order of their names. Symbolic links there
/// are left out, so that nothing is counted twice; one that is named itself is followed.
[[nodiscard]] Sources find_sources(const std::vector<std::string>& names);

} // namespace demo
