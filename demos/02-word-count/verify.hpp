#pragma once

#include "count.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace demo {

using TopWords = std::vector<std::pair<std::string, std::uint64_t>>;

/// The most frequent words; those that are equally frequent in the order of their bytes.
[[nodiscard]] TopWords top_words(const Frequencies& words, std::size_t count);

/// What the standard tools say about the same files.
struct Reference {
    Totals totals;
    TopWords top;
};

/// Asks wc, tr, sort and uniq, in the C locale.
/// \param watch  called now and then meanwhile
/// \throws std::exception when a tool is missing or fails
[[nodiscard]] Reference ask_standard_tools(const std::vector<std::string>& paths, std::size_t top,
                                           const std::function<void()>& watch);

} // namespace demo
