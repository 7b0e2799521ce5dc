#include "verify.hpp"

#include "toolkit/shell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <sstream>

namespace demo {
namespace {

// `awk 1` ends each file with a newline where it has none: words of two files must not become one.
constexpr const char* all_files = "xargs -0 awk 1";

// A wc before coreutils 9.5 does not count words without a printable ASCII character (a lone "©"),
// later ones do. Letting tr make an x of each such byte first, both say the same.
constexpr const char* all_printable = R"(tr '\001-\010\016-\037\177-\377' x)";

constexpr const char* one_word_a_line = R"(tr -s ' \t\v\f\r' '\n' | sed '/^$/d')";

} // namespace

TopWords top_words(const Frequencies& words, std::size_t count) {
    TopWords top(std::min(count, words.size()));
    std::partial_sort_copy(
        words.begin(), words.end(), top.begin(), top.end(), [](const auto& a, const auto& b) {
            return a.second != b.second ? a.second > b.second : a.first < b.first;
        });
    return top;
}

Reference ask_standard_tools(const std::vector<std::string>& paths, std::size_t top,
                             const std::function<void()>& watch) {
    std::string list;
    for (const std::string& path : paths)
        list.append(path).push_back('\0');
    const auto ask = [&](const std::string& script) { return run_shell(script, list, watch); };

    Reference reference;
    std::istringstream sums(ask("wc -l -c --files0-from=- | tail -n 1"));
    sums >> reference.totals.lines >> reference.totals.bytes;
    std::istringstream words(ask(fmt::format("{} | {} | wc -w", all_files, all_printable)));
    words >> reference.totals.words;
    if (!sums || !words)
        throw std::runtime_error("wc did not answer with numbers");

    std::istringstream lines(
        ask(fmt::format("{} | {} | sort | uniq -c | sort -k1,1nr -k2 | head -n {}", all_files,
                        one_word_a_line, top)));
    std::uint64_t times = 0;
    std::string word;
    while (lines >> times && lines.get() && std::getline(lines, word))
        reference.top.emplace_back(word, times);
    return reference;
}

} // namespace demo
