// Counts the lines, words and bytes of many files, and the most frequent words, in several
// processes that share the work through a queue.

#include "count.hpp"
#include "crew.hpp"
#include "toolkit/files.hpp"
#include "toolkit/options.hpp"
#include "toolkit/progress.hpp"
#include "toolkit/run.hpp"
#include "toolkit/text.hpp"
#include "verify.hpp"

#include <multifork/process/cpu_count.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>

namespace {

using namespace demo;

constexpr const char* name = "word-count";
const std::vector<std::string> usual_places{"/usr/share/common-licenses", "/usr/share/doc"};

void note(const std::string& text) {
    complain(name, text);
}

/// Notes about what was left out. \return whether it was something that the user had named
bool tell_unreadable(const Sources& sources, const CrewResult& result, bool all_named) {
    constexpr std::size_t most = 10;
    bool named = all_named && sources.named_unreadable;
    std::size_t told = 0;
    const auto tell = [&](const std::string& text) {
        if (++told <= most)
            note(printable(text) + "; skipped");
    };
    for (const std::string& line : sources.unreadable)
        tell(line);
    for (std::size_t i = 0; i < result.unreadable.size(); ++i) {
        const Source& file = sources.files[result.unreadable[i]];
        const int error = result.errors[i];
        tell(fmt::format("{}: {}", file.path,
                         error != 0 ? std::strerror(error) : "not a regular file"));
        named |= file.is_named;
    }
    if (told > most)
        note(fmt::format("{} more that cannot be read; skipped", told - most));
    return named;
}

void print_totals(const Totals& totals) {
    const int width = columns(grouped(static_cast<std::int64_t>(totals.bytes)));
    const auto line = [&](const char* what, std::uint64_t number) {
        fmt::print("  {}  {}\n", paint(Ink::quiet, what),
                   paint(Ink::strong, pad_left(grouped(static_cast<std::int64_t>(number)), width)));
    };
    line("lines", totals.lines);
    line("words", totals.words);
    line("bytes", totals.bytes);
}

void print_top(const TopWords& top) {
    heading("The most frequent words");
    int word_width = 0;
    for (const auto& [word, times] : top)
        word_width = std::max(word_width, columns(printable(word, 24)));
    const int number_width = columns(grouped(static_cast<std::int64_t>(top.front().second)));
    const int room = std::min(terminal().width - word_width - number_width - 8, 36);
    for (const auto& [word, times] : top) {
        const double length =
            room * static_cast<double>(times) / static_cast<double>(top.front().second);
        std::string bar = repeat(glyphs().bar, static_cast<int>(length));
        if (length - static_cast<int>(length) >= 0.5)
            bar += glyphs().half_bar;
        fmt::print("  {}  {}  {}\n", pad_right(printable(word, 24), word_width),
                   pad_left(grouped(static_cast<std::int64_t>(times)), number_width),
                   paint(Ink::first, bar));
    }
}

/// How the files were shared out, and what was left out.
void print_remarks(const Sources& sources, const CrewResult& result, std::int64_t took_ns) {
    const auto [least, most] =
        std::minmax_element(result.by_worker.begin(), result.by_worker.end());
    std::string text = fmt::format("Took {}.", duration_text(took_ns));
    if (result.by_worker.size() > 1)
        text += fmt::format(" Each worker took {} to {} files off the queue.",
                            grouped(static_cast<std::int64_t>(*least)),
                            grouped(static_cast<std::int64_t>(*most)));
    std::vector<std::string> left_out;
    if (result.not_text > 0)
        left_out.push_back(count_of(static_cast<std::int64_t>(result.not_text),
                                    "file that is not text", "files that are not text"));
    if (sources.links > 0)
        left_out.push_back(count_of(static_cast<std::int64_t>(sources.links), "symbolic link"));
    if (!left_out.empty())
        text += fmt::format(" Left out: {}.", fmt::join(left_out, ", "));
    fmt::print("\n");
    paragraph(text, Ink::quiet);
}

/// \return whether the standard tools say the same
bool verify(const Sources& sources, const CrewResult& result, const TopWords& top,
            std::size_t top_asked) {
    std::vector<std::string> paths;
    for (const std::size_t file : result.counted)
        paths.push_back(sources.files[file].path);
    Progress progress("checking with wc, tr, sort, uniq");
    const Reference reference = ask_standard_tools(paths, top_asked, [&] { progress.show(-1); });
    progress.clear();

    heading("Checked with the standard tools");
    bool all_same = true;
    const auto check = [&](const std::string& what, const std::string& tool, bool same,
                           const std::string& difference) {
        const std::string mark =
            same ? paint(Ink::good, glyphs().tick) : paint(Ink::bad, glyphs().cross);
        fmt::print("  {} {}  {}\n", mark, pad_right(what, 9),
                   same ? paint(Ink::quiet, "the same as " + tool)
                        : paint(Ink::bad, fmt::format("{} says {}", tool, difference)));
        all_same &= same;
    };
    const auto check_number = [&](const char* what, const char* tool, std::uint64_t ours,
                                  std::uint64_t theirs) {
        check(what, tool, ours == theirs, grouped(static_cast<std::int64_t>(theirs)));
    };
    check_number("lines", "wc -l", result.totals.lines, reference.totals.lines);
    check_number("words", "wc -w", result.totals.words, reference.totals.words);
    check_number("bytes", "wc -c", result.totals.bytes, reference.totals.bytes);

    const auto [ours, theirs] =
        std::mismatch(top.begin(), top.end(), reference.top.begin(), reference.top.end());
    check(fmt::format("top {}", top.size()), "sort | uniq -c | sort -nr",
          ours == top.end() && theirs == reference.top.end(),
          theirs == reference.top.end()
              ? "less"
              : fmt::format("{} times {}", theirs->second, printable(theirs->first, 24)));
    return all_same;
}

/// \return whether all of them lived to the end
bool tell_fallen(const Sources& sources, const CrewResult& result) {
    if (result.fallen.empty() && result.missing.empty())
        return true;
    for (const std::string& line : result.fallen)
        note(line);
    if (!result.missing.empty())
        note(fmt::format("{} went uncounted, the first of them {}",
                         count_of(static_cast<std::int64_t>(result.missing.size()), "file"),
                         printable(sources.files[result.missing.front()].path)));
    note(result.fallen.size() < result.by_worker.size()
             ? "the other workers did the rest; the figures are of what was counted"
             : "no worker was left; the figures are of what was counted");
    return false;
}

int word_count(int argc, char** argv) {
    Options options(
        name,
        "Counts lines, words and bytes of text files, and their most frequent words, in\n"
        "several processes. Takes files and directories; without any, all text files\n"
        "below /usr/share/common-licenses and /usr/share/doc.\n",
        "\nA word is what stands between blanks, as in wc: The, the and \"the,\" are three\n"
        "words. Text is what has no zero byte in it and is not gzip. In directories,\n"
        "symbolic links are left out.\n"
        "\nExit status: 0 when all is well; 1 when a file given by name cannot be read,\n"
        "there is nothing to count, --verify finds a difference, or a worker dies; 2\n"
        "when the command line is wrong.\n");
    options.add_number("workers", "processes that count",
                       std::clamp(multifork::cpu_count(), 1, 256), 1, 256);
    options.add_number("top", "words to show", 10, 1, 1000);
    options.add_flag("verify", "ask wc, tr, sort and uniq, and compare");
    options.add_operands("[FILE...]");
    if (!options.parse(argc, argv))
        return success;

    const bool by_name = !options.operands().empty();
    const Sources sources = find_sources(by_name ? options.operands() : usual_places);
    const auto workers = static_cast<int>(options.number("workers"));
    const auto top_asked = static_cast<std::size_t>(options.number("top"));

    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    Progress progress("counting");
    const CrewResult result = count_in_processes(sources.files, workers, [&](std::size_t done) {
        progress.show(static_cast<double>(done) / static_cast<double>(sources.files.size()),
                      fmt::format("{} of {}", grouped(static_cast<std::int64_t>(done)),
                                  count_of(std::ssize(sources.files), "file")));
    });
    progress.clear();
    const std::int64_t took = std::chrono::nanoseconds(Clock::now() - begin).count();

    bool well = !tell_unreadable(sources, result, by_name);
    well &= tell_fallen(sources, result);
    if (result.counted.empty()) {
        note("there is no text file to count");
        return failure;
    }
    title(fmt::format("{}, counted by {}", count_of(std::ssize(result.counted), "text file"),
                      count_of(workers, "process", "processes")));
    print_totals(result.totals);
    const TopWords top = top_words(result.words, top_asked);
    if (!top.empty())
        print_top(top);
    print_remarks(sources, result, took);
    if (options.flag("verify"))
        well &= verify(sources, result, top, top_asked);
    return well ? success : failure;
}

} // namespace

int main(int argc, char** argv) {
    return demo::run(name, [&] { return word_count(argc, argv); });
}
