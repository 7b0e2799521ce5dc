#include <multifork/pool/pool.hpp>
#include <multifork/pool/progress_bar.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mp = multifork;
using namespace std::chrono_literals;
using Options = mp::ProgressBarOptions;

namespace {

/// A terminal of its own, and what was written on it.
class Window {
public:
    explicit Window(unsigned short columns) {
        ::setenv("LC_ALL", "C.UTF-8", 1);
        ::setenv("NO_COLOR", "1", 1);
        ::setenv("TERM", "xterm", 1);
        BOOST_REQUIRE(::openpty(&screen_, &end_, nullptr, nullptr, nullptr) == 0);
        resize(columns);
    }
    ~Window() {
        ::close(screen_);
        ::close(end_);
    }
    Window(const Window&) = delete;
    Window& operator=(const Window&) = delete;

    void resize(unsigned short columns) const {
        const winsize size{24, columns, 0, 0};
        BOOST_REQUIRE(::ioctl(screen_, TIOCSWINSZ, &size) == 0);
    }
    /// Draws at once, and at each time.
    [[nodiscard]] Options at_once() const {
        return {.descriptor = end_, .delay = 0ms, .interval = 0ms};
    }
    /// What has been written since the last time.
    [[nodiscard]] std::string written() const {
        std::string text;
        std::array<char, 4096> piece{};
        for (pollfd ready{screen_, POLLIN, 0}; ::poll(&ready, 1, 50) == 1;) {
            const auto got = ::read(screen_, piece.data(), piece.size());
            if (got <= 0)
                break;
            text.append(piece.data(), static_cast<std::size_t>(got));
        }
        return text;
    }

private:
    int screen_ = -1;
    int end_ = -1;
};

const std::string wipe = "\r\033[K";

/// What stands on the line after all that was written.
std::string last_line(const std::string& text) {
    const auto at = text.rfind(wipe);
    return at == std::string::npos ? text : text.substr(at + wipe.size());
}
std::size_t columns(const std::string& line) {
    std::size_t count = 0;
    for (const char c : line)
        count += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
    return count;
}

/// A pipe, which is no terminal, and what was written into it.
class Pipe {
public:
    Pipe() { BOOST_REQUIRE(::pipe2(ends_.data(), O_NONBLOCK) == 0); }
    ~Pipe() {
        ::close(ends_[0]);
        ::close(ends_[1]);
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    [[nodiscard]] int end() const { return ends_[1]; }
    [[nodiscard]] std::string written() const {
        std::array<char, 4096> piece{};
        const auto got = ::read(ends_[0], piece.data(), piece.size());
        return got > 0 ? std::string(piece.data(), static_cast<std::size_t>(got)) : std::string();
    }

private:
    std::array<int, 2> ends_{};
};

} // namespace

BOOST_AUTO_TEST_SUITE(progress_bar)

BOOST_AUTO_TEST_CASE(draws_a_bar_the_counts_and_the_rest_of_the_time) {
    const Window window(100);
    const auto bar = mp::progress_bar("hashing", window.at_once());
    bar(0, 2000);
    std::this_thread::sleep_for(250ms);
    bar(1000, 2000);
    const std::string line = last_line(window.written());
    BOOST_TEST(line.starts_with("  hashing ██████████            50%  0:0"), line);
    BOOST_TEST(line.find(" left  1,000/2,000  ") != std::string::npos, line);
    BOOST_TEST(line.ends_with("/s"), line);
    BOOST_TEST(mp::ProgressBar::is_drawn());
}

BOOST_AUTO_TEST_CASE(goes_away_at_the_end) {
    const Window window(80);
    const auto bar = mp::progress_bar("hashing", window.at_once());
    bar(1, 2);
    BOOST_TEST(last_line(window.written()) != "");
    bar(2, 2);
    BOOST_TEST(window.written() == wipe);
    BOOST_TEST(!mp::ProgressBar::is_drawn());
    bar(1, 2); // a second run with the same bar
    BOOST_TEST(last_line(window.written()) != "");
}

BOOST_AUTO_TEST_CASE(stays_if_asked_to) {
    const Window window(80);
    Options options = window.at_once();
    options.keep = true;
    mp::progress_bar("hashing", options)(2, 2);
    const std::string line = last_line(window.written());
    BOOST_TEST(line.find("100%") != std::string::npos, line);
    BOOST_TEST(line.ends_with("\r\n"), line); // the terminal makes two of one
    BOOST_TEST(!mp::ProgressBar::is_drawn());
}

BOOST_AUTO_TEST_CASE(goes_away_when_its_last_copy_does) {
    const Window window(80);
    {
        std::optional bar(mp::progress_bar("hashing", window.at_once()));
        const auto copy = *bar;
        (*bar)(1, 2);
        static_cast<void>(window.written());
        bar.reset();
        BOOST_TEST(window.written() == "");
    }
    BOOST_TEST(window.written() == wipe);
}

BOOST_AUTO_TEST_CASE(fits_any_width) {
    const Window window(200);
    const auto bar = mp::progress_bar("a label of several words", window.at_once());
    bar(0, 1'000'000);
    std::this_thread::sleep_for(250ms);
    bar(499'999, 1'000'000);
    for (unsigned short width = 1; width < 120;
         width = static_cast<unsigned short>(width + (width < 30 ? 1 : 7))) {
        window.resize(width);
        bar.show(500'000u + width, 1'000'000, "and a note behind it all");
        const std::string line = last_line(window.written());
        BOOST_TEST(columns(line) < width + (width == 1 ? 1u : 0u), width << ": " << line);
        if (width > 20)
            BOOST_TEST(line.find("50%") != std::string::npos, width << ": " << line);
    }
}

BOOST_AUTO_TEST_CASE(without_a_total_there_is_no_bar) {
    const Window window(80);
    const auto bar = mp::progress_bar("searching", window.at_once());
    bar(1234, 0);
    const std::string line = last_line(window.written());
    BOOST_TEST(line.starts_with("  searching  1,234"), line);
    BOOST_TEST(line.find('%') == std::string::npos, line);
}

BOOST_AUTO_TEST_CASE(counts_bytes) {
    const Window window(100);
    Options options = window.at_once();
    options.figures = Options::Figures::bytes;
    const auto bar = mp::progress_bar("reading", options);
    bar.show(1'234'000'000, 5'000'000'000);
    BOOST_TEST(last_line(window.written()).find("1.2/5.0 GB") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_label_cannot_move_the_cursor) {
    const Window window(80);
    const auto bar = mp::progress_bar("a\033[2Jb\nc", window.at_once());
    bar.show(1, 2, "d\re");
    const std::string text = window.written();
    BOOST_TEST(last_line(text).find('\033') == std::string::npos);
    BOOST_TEST(text.find('\n') == std::string::npos);
    BOOST_TEST(last_line(text).find('\r') == std::string::npos);
}

BOOST_AUTO_TEST_CASE(is_silent_where_there_is_no_terminal) {
    const Pipe pipe;
    const auto bar =
        mp::progress_bar("hashing", {.descriptor = pipe.end(), .delay = 0ms, .interval = 0ms});
    bar(1, 2);
    bar(2, 2);
    BOOST_TEST(pipe.written() == "");
    BOOST_TEST(!mp::ProgressBar::is_drawn());
}

BOOST_AUTO_TEST_CASE(writes_plain_lines_where_there_is_no_terminal_if_asked_to) {
    const Pipe pipe;
    const auto bar = mp::progress_bar("hashing", {.descriptor = pipe.end(),
                                                  .elsewhere = Options::Elsewhere::lines,
                                                  .delay = 0ms,
                                                  .interval = 0ms});
    for (std::size_t done = 0; done <= 100; ++done)
        bar(done, 100);
    const std::string text = pipe.written();
    std::size_t lines = 0;
    for (const char c : text)
        lines += c == '\n' ? 1 : 0;
    BOOST_TEST(lines == 10u, text);
    BOOST_TEST(text.find("hashing: 10% 10/100, ") == 0u, text);
    BOOST_TEST(text.find("hashing: 100/100 in 0:0") != std::string::npos, text);
    BOOST_TEST(text.find('\033') == std::string::npos, text);
}

BOOST_AUTO_TEST_CASE(a_forked_child_leaves_it_alone) {
    const Window window(80);
    std::optional bar(mp::progress_bar("hashing", window.at_once()));
    (*bar)(1, 2);
    static_cast<void>(window.written());
    const pid_t child = ::fork();
    if (child == 0) {
        (*bar)(2, 4);
        bar->clear();
        bar.reset();
        ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    BOOST_TEST(window.written() == "");
}

BOOST_AUTO_TEST_CASE(the_terminal_is_clean_when_map_throws) {
    const Window window(80);
    mp::Pool pool{2};
    const auto task = [](int i) {
        if (i == 3)
            throw std::out_of_range("three");
    };
    try {
        pool.map(task, std::views::iota(0, 40),
                 {.chunk_size = 1, .progress = mp::progress_bar("trying", window.at_once())});
        BOOST_ERROR("nothing was thrown");
    } catch (const std::out_of_range&) {
        BOOST_TEST(!mp::ProgressBar::is_drawn());
        const std::string text = window.written();
        BOOST_TEST(text.find("trying") != std::string::npos);
        BOOST_TEST(last_line(text) == "");
    }
}

BOOST_AUTO_TEST_CASE(the_terminal_is_clean_when_imap_is_left) {
    const Window window(80);
    mp::Pool pool{2};
    try {
        for (const int i : pool.imap([](int x) { return x; }, std::views::iota(0, 40),
                                     {.progress = mp::progress_bar("trying", window.at_once())}))
            if (i == 20)
                throw std::runtime_error("enough");
    } catch (const std::runtime_error&) {
        const std::string text = window.written();
        BOOST_TEST(text.find("trying") != std::string::npos);
        BOOST_TEST(last_line(text) == "");
    }
    BOOST_TEST(!mp::ProgressBar::is_drawn());
}

using Told = std::vector<std::pair<std::size_t, std::size_t>>;

BOOST_AUTO_TEST_CASE(imap_tells_what_it_has_got) {
    mp::Pool pool{2};
    for (const bool ordered : {true, false}) {
        Told told;
        const auto tell = [&](std::size_t done, std::size_t all) { told.emplace_back(done, all); };
        const mp::MapOptions options{.chunk_size = 3, .progress = tell};
        const auto task = [](int x) {
            if (x == 4)
                throw std::runtime_error("four");
            return x;
        };
        auto results = ordered ? pool.imap(task, std::views::iota(0, 10), options)
                               : pool.imap_unordered(task, std::views::iota(0, 10), options);
        int got = 0;
        int thrown = 0;
        for (bool more = true; more;) {
            try {
                more = results.next().has_value();
                got += more ? 1 : 0;
            } catch (const std::runtime_error&) {
                ++thrown;
            }
        }
        BOOST_TEST(got == 7);
        BOOST_TEST(thrown == 1);
        BOOST_REQUIRE(told.size() == 4u);
        BOOST_TEST((told.back() == std::pair<std::size_t, std::size_t>(10, 10)));
        for (std::size_t i = 0; i + 1 < told.size(); ++i) {
            BOOST_TEST(told[i].first < told[i + 1].first);
            BOOST_TEST(told[i].second == 10u);
        }
    }
}

BOOST_AUTO_TEST_CASE(imap_of_an_input_without_a_size_says_so_and_says_the_end) {
    mp::Pool pool{2};
    Told told;
    auto even = std::views::iota(0, 6) | std::views::filter([](int x) { return x % 2 == 0; });
    for ([[maybe_unused]] const int i : pool.imap(
             [](int x) { return x; }, even, {.progress = [&](std::size_t done, std::size_t all) {
                 told.emplace_back(done, all);
                 throw std::runtime_error("a progress that throws");
             }})) {
    }
    BOOST_TEST((told == Told{{1, 0}, {2, 0}, {3, 0}, {3, 3}}));
}

BOOST_AUTO_TEST_SUITE_END()
