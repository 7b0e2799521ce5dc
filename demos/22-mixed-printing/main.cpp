// Two processes print into one file, a word at a time. Their sentences get mixed.

#include "toolkit/race_main.hpp"

#include "toolkit/text.hpp"

#include <multifork/error.hpp>
#include <multifork/sync/lock.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

namespace {

namespace mp = multifork;
using namespace demo;

constexpr std::array<std::array<std::string_view, 4>, 2> sentences{{
    {"roses ", "are ", "red", ".\n"},
    {"violets ", "look ", "blue", "!\n"},
}};
enum : std::uint16_t { print_lock = 8 };
constexpr std::string_view on_paper = "On the paper: ";

/// A file without a name; all processes write at its end, as they do on a terminal.
class Paper {
public:
    Paper() : fd_(::memfd_create("paper", MFD_CLOEXEC)) {
        // Without O_APPEND two writes at once could find the same end: the position that processes
        // share is not locked for every kind of file.
        if (fd_ < 0 || ::fcntl(fd_, F_SETFL, O_APPEND) != 0)
            throw mp::Error(std::error_code(errno, std::generic_category()),
                            "cannot make a file in memory to print into");
    }
    ~Paper() { ::close(fd_); }
    Paper(const Paper&) = delete;
    Paper& operator=(const Paper&) = delete;

    void wipe() {
        if (::ftruncate(fd_, 0) != 0)
            fail();
    }
    /// Each write goes behind the one before.
    void print(std::string_view text) {
        if (::write(fd_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
            fail();
    }
    [[nodiscard]] std::string text() const {
        std::string all(200, '\0');
        const ssize_t size = ::pread(fd_, all.data(), all.size(), 0);
        all.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
        return all;
    }

private:
    [[noreturn]] static void fail() {
        throw mp::Error(std::error_code(errno, std::generic_category()),
                        "cannot print into a file in memory");
    }
    int fd_;
};

class Printing : public Race {
public:
    explicit Printing(bool cured) : cured_(cured) {}

    std::vector<std::string> lanes() const override { return {"Process-1", "Process-2"}; }
    Names names() const override {
        Names names;
        for (const auto& sentence : sentences)
            for (const std::string_view word : sentence)
                names.objects.push_back(
                    fmt::format("print {}", word.substr(0, word.find_first_of(" \n"))));
        names.objects.emplace_back("lock");
        return names;
    }
    void set_up() override { paper_.wipe(); }
    void work(std::size_t me, Actor& actor) override {
        if (cured_)
            actor.acquire(lock_, print_lock);
        for (std::size_t i = 0; i < sentences[me].size(); ++i) {
            if (sentences[me][i].empty()) // a sentence of fewer words
                continue;
            actor.be_busy(1'000); // finds the next word
            actor.act(Actor::Access::mark, static_cast<std::uint16_t>(me * 4 + i), [&] {
                paper_.print(sentences[me][i]);
                return 0;
            });
        }
        if (cured_)
            actor.release(lock_, print_lock);
    }
    Verdict judge(const std::vector<std::size_t>&) override {
        const std::string text = paper_.text();
        const bool right = text == "roses are red.\nviolets look blue!\n" ||
                           text == "violets look blue!\nroses are red.\n";
        std::string line = text;
        for (auto at = line.find('\n'); at != std::string::npos; at = line.find('\n'))
            line.replace(at, 1, " / ");
        return {!right, std::string(on_paper) + line};
    }
    void annotate(Chronicle& told) override {
        if (told.went_wrong)
            order_as_on_paper(told);
        // A line that begins in another one, and one that goes on without its beginning.
        std::string before = ".";
        std::size_t writer = 0;
        for (Moment& moment : told.moments) {
            if (!moment.text.starts_with("print"))
                continue;
            const std::string word = moment.text.substr(6);
            const bool line_is_new = before == "." || before == "!";
            const bool begins = word == "roses" || word == "violets";
            moment.is_bad = line_is_new ? !begins : writer != moment.lane;
            writer = moment.lane;
            before = word;
        }
    }
    std::vector<std::size_t> bad_schedule() const override { return {0, 1, 1, 0, 0, 0, 1, 1}; }
    bool can_go(std::size_t, const mp::lab::Step& step) override {
        return step.access != mp::lab::Access::acquire || !lock_.owner();
    }

private:
    /// A process may be interrupted between a write and its look at the clock. The paper says in
    /// which order they were.
    static void order_as_on_paper(Chronicle& told) {
        const auto place = [&](const Moment& moment) {
            return told.verdict.find(moment.text.substr(6), on_paper.size());
        };
        std::stable_sort(told.moments.begin(), told.moments.end(),
                         [&](const Moment& a, const Moment& b) { return place(a) < place(b); });
        for (std::size_t i = told.moments.size(); i-- > 1;)
            told.moments[i - 1].at_ns = std::min(told.moments[i - 1].at_ns, told.moments[i].at_ns);
    }

    bool cured_;
    Paper paper_;
    mp::Lock lock_;
};

} // namespace

int main(int argc, char** argv) {
    RaceDemo printing;
    printing.name = "mixed-printing";
    printing.summary =
        "Two processes print a sentence each, word by word, into one file: without a\n"
        "lock, and with one.\n";
    printing.title = "Two processes print at the same time";
    printing.lead =
        "One prints \"roses are red\", the other \"violets look blue\": four writes each, "
        "into one file that both have open.";
    printing.wrong = "mixed";
    printing.rounds = 20'000;
    printing.moral =
        "A write is done whole, but a line is often several writes. Hold a lock for as "
        "long as the line takes, or build the line first and print it by one write.";
    printing.make = [](bool cured, std::size_t) { return std::make_unique<Printing>(cured); };
    return race_main(printing, argc, argv);
}
