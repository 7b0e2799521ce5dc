// Prints the SHA-256 of every file below some folders, as sha256sum does, by a pool of processes.

#include "crew.hpp"
#include "sum.hpp"
#include "toolkit/files.hpp"
#include "toolkit/options.hpp"
#include "toolkit/progress.hpp"
#include "toolkit/run.hpp"
#include "toolkit/shell.hpp"
#include "toolkit/text.hpp"

#include <multifork/pool/progress_bar.hpp>
#include <multifork/process/cpu_count.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>

namespace {

using namespace demo;
using Clock = std::chrono::steady_clock;

constexpr const char* name = "checksum";
const std::vector<std::string> usual_places{"/usr/share/common-licenses", "/usr/share/doc"};

// Standard output holds the sums and nothing else; whatever else there is to say goes here.
void note(const std::string& text) {
    complain(name, text);
}

std::string size_text(std::uint64_t bytes) {
    const auto value = static_cast<double>(bytes);
    if (bytes < 1'000'000)
        return fmt::format("{:.1f} kB", value / 1e3);
    return bytes < 1'000'000'000 ? fmt::format("{:.1f} MB", value / 1e6)
                                 : fmt::format("{:.2f} GB", value / 1e9);
}
std::string rate_text(std::uint64_t bytes, std::chrono::nanoseconds took) {
    const double seconds = std::max(1e-9, std::chrono::duration<double>(took).count());
    return fmt::format("{:.0f} MB/s", static_cast<double>(bytes) / 1e6 / seconds);
}

/// What was summed, and how it was printed.
struct Printed {
    std::vector<std::string> paths; ///< in order
    std::string text;               ///< kept if it is to be compared
    bool all_well = true;
};

CrewResult print_sums(const std::vector<std::string>& files, const CrewOptions& options,
                      bool keep_text, Printed& printed) {
    const auto bar = multifork::progress_bar(
        "hashing", {.figures = multifork::ProgressBarOptions::Figures::bytes});
    const bool to_terminal = ::isatty(STDOUT_FILENO) == 1;
    const auto print = [&](std::size_t file, const FileSum& sum) {
        const std::string& path = files[file];
        if (to_terminal || sum.state != FileSum::State::summed)
            bar.clear();
        if (sum.state == FileSum::State::summed) {
            const std::string line = line_of(sum, path);
            std::fwrite(line.data(), 1, line.size(), stdout);
            if (keep_text)
                printed.text += line;
            printed.paths.push_back(path);
            return;
        }
        printed.all_well = false;
        const char* const reason =
            sum.state == FileSum::State::unreadable ? std::strerror(sum.error)
            : sum.state == FileSum::State::lost     ? "every process that read it died"
                                                    : "not a regular file";
        note(fmt::format("{}: {}", printable(path), reason));
    };
    CrewResult result = sum_in_processes(
        files, options, print, [&](std::uint64_t done, std::uint64_t all) { bar.show(done, all); });
    bar.clear();
    std::fflush(stdout);
    return result;
}

/// \return whether sha256sum prints the same, byte for byte
bool verify(const Printed& printed, const std::string& list) {
    Progress progress("asking sha256sum");
    const std::string theirs =
        run_shell("xargs -0 -r sha256sum --", list, [&] { progress.show(-1); });
    progress.clear();
    if (printed.text == theirs) {
        note(fmt::format("the same as sha256sum, byte for byte: {}",
                         count_of(std::ssize(printed.paths), "line")));
        return true;
    }
    const auto [ours, other] =
        std::mismatch(printed.text.begin(), printed.text.end(), theirs.begin(), theirs.end());
    const auto line = 1 + std::count(printed.text.begin(), ours, '\n');
    const auto show = [&](const std::string& text, std::ptrdiff_t at) {
        const auto from = at > 0 ? text.rfind('\n', static_cast<std::size_t>(at - 1)) + 1 : 0;
        return printable(text.substr(from, text.find('\n', from) - from));
    };
    note(fmt::format("not what sha256sum prints: line {} is\n  {}\nwhere sha256sum has\n  {}", line,
                     show(printed.text, ours - printed.text.begin()),
                     show(theirs, other - theirs.begin())));
    return false;
}

/// Both of them three times, in turn, with the files in the page cache.
void compare(const std::vector<std::string>& files, int workers, const std::string& list) {
    Progress progress("timing");
    const auto tick = [&] { progress.show(-1); };
    const std::string command = fmt::format("xargs -0 -r -P {} -n 64 sha256sum --", workers);
    auto ours = std::chrono::nanoseconds::max();
    auto theirs = std::chrono::nanoseconds::max();
    std::uint64_t bytes = 0;
    for (int round = 0; round < 3; ++round) {
        const CrewResult result = sum_in_processes(
            files, {.workers = workers}, [](std::size_t, const FileSum&) {},
            [&](std::uint64_t, std::uint64_t) { tick(); });
        ours = std::min(ours, result.took);
        bytes = result.bytes;
        const auto begin = Clock::now();
        static_cast<void>(run_shell(command + " > /dev/null", list, tick));
        theirs = std::min(theirs, std::chrono::nanoseconds(Clock::now() - begin));
    }
    progress.clear();
    const auto line = [&](const std::string& what, std::chrono::nanoseconds took) {
        note(fmt::format("  {}  {}  {}", pad_left(duration_text(took.count()), 9),
                         pad_left(rate_text(bytes, took), 9), what));
    };
    note(fmt::format("{}, the best of three:", count_of(std::ssize(files), "file")));
    line(fmt::format("a Pool of {}", count_of(workers, "worker")), ours);
    line(command, theirs);
}

int checksum(int argc, char** argv) {
    Options options(
        name,
        "Prints the SHA-256 of files as sha256sum does, by a pool of processes. Takes\n"
        "files and directories; without any, all files below\n"
        "/usr/share/common-licenses and /usr/share/doc.\n",
        "\nBelow a directory, regular files in the order of their names, as by\n"
        "  find DIRECTORY -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum\n"
        "\nExit status: 0 when all is well; 1 when something cannot be read or --verify\n"
        "finds a difference; 2 when the command line is wrong.\n");
    options.add_number("workers", "processes that read and sum",
                       std::clamp(multifork::cpu_count(), 1, 256), 1, 256);
    options.add_number("kill-workers", "kill that many of them in the middle", 0, 0, 1000);
    options.add_flag("verify", "ask sha256sum, and compare byte for byte");
    options.add_flag("compare", "time it beside xargs -P and sha256sum");
    options.add_operands("[FILE...]");
    if (!options.parse(argc, argv))
        return success;

    const Sources sources =
        find_sources(options.operands().empty() ? usual_places : options.operands());
    std::vector<std::string> files;
    for (const Source& source : sources.files)
        files.push_back(source.path);
    const CrewOptions crew{static_cast<int>(options.number("workers")),
                           static_cast<int>(options.number("kill-workers"))};

    Printed printed;
    const CrewResult result = print_sums(files, crew, options.flag("verify"), printed);
    for (const std::string& line : sources.unreadable) {
        note(printable(line));
        printed.all_well = false;
    }
    if (crew.kills > 0)
        note(
            fmt::format("killed {}{}; what they had taken, others did again",
                        count_of(std::ssize(result.killed), "worker"),
                        std::ssize(result.killed) < crew.kills ? " before the work was done" : ""));
    note(fmt::format("{}, {}, in {} ({}) by {}", count_of(std::ssize(printed.paths), "file"),
                     size_text(result.bytes), duration_text(result.took.count()),
                     rate_text(result.bytes, result.took),
                     count_of(crew.workers, "process", "processes")));

    std::string list;
    for (const std::string& path : printed.paths)
        list.append(path).push_back('\0');
    bool well = printed.all_well;
    if (options.flag("verify"))
        well &= verify(printed, list);
    if (options.flag("compare"))
        compare(printed.paths, crew.workers, list);
    return well ? success : failure;
}

} // namespace

int main(int argc, char** argv) {
    return demo::run(name, [&] { return checksum(argc, argv); });
}
