#include <multifork/pool/progress_bar.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <mutex>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace multifork {
namespace {

using Clock = std::chrono::steady_clock;
using Figures = ProgressBarOptions::Figures;

/// Bars that stand on a terminal.
std::atomic<int> drawn_bars{0};

std::string_view variable(const char* name) {
    const char* const value = std::getenv(name);
    return value != nullptr ? value : "";
}

bool is_terminal(int descriptor) {
    return ::isatty(descriptor) == 1 && variable("TERM") != "dumb";
}

/// Asked each time: a window changes its size.
int width_of(int descriptor) {
    winsize window{};
    return ::ioctl(descriptor, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
}

bool locale_has_utf8() {
    for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"})
        if (const std::string_view value = variable(name); !value.empty()) // the first decides
            return ::strcasestr(value.data(), "utf-8") != nullptr ||
                   ::strcasestr(value.data(), "utf8") != nullptr;
    return false;
}

bool goes_on(char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}
int columns(std::string_view text) {
    return static_cast<int>(
        std::count_if(text.begin(), text.end(), [](char c) { return !goes_on(c); }));
}
/// The first `width` columns.
std::string_view cut(std::string_view text, int width) {
    std::size_t end = 0;
    for (; end < text.size(); ++end)
        if (!goes_on(text[end]) && --width < 0)
            break;
    return text.substr(0, end);
}

/// Without what would move the cursor.
std::string harmless(std::string_view text) {
    std::string result(text);
    for (char& c : result)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
            c = ' ';
    return result;
}

std::string grouped(std::uint64_t number) {
    std::string digits = fmt::format("{}", number);
    for (auto at = std::ssize(digits) - 3; at > 0; at -= 3)
        digits.insert(static_cast<std::size_t>(at), 1, ',');
    return digits;
}

/// A number of bytes in the unit that fits `scale`, without the unit, which is put into `unit`.
std::string in_bytes(double number, double scale, std::string_view& unit) {
    static constexpr std::array<std::string_view, 5> units{"B", "kB", "MB", "GB", "TB"};
    std::size_t power = 0;
    for (; scale >= 1000 && power + 1 < units.size(); ++power) {
        scale /= 1000;
        number /= 1000;
    }
    unit = units[power];
    return power == 0 ? fmt::format("{:.0f}", number) : fmt::format("{:.1f}", number);
}

std::string rate_text(double rate, Figures figures) {
    if (figures == Figures::bytes) {
        std::string_view unit;
        const std::string number = in_bytes(rate, rate, unit);
        return fmt::format("{} {}/s", number, unit);
    }
    if (rate >= 1e6)
        return fmt::format("{:.1f}M/s", rate / 1e6);
    if (rate >= 1e4)
        return fmt::format("{:.1f}k/s", rate / 1e3);
    return rate >= 10 ? fmt::format("{:.0f}/s", rate) : fmt::format("{:.2g}/s", rate);
}

std::string count_text(std::uint64_t done, std::uint64_t all, Figures figures) {
    if (figures == Figures::bytes) {
        const auto scale = static_cast<double>(all > 0 ? all : done);
        std::string_view unit;
        std::string text = in_bytes(static_cast<double>(done), scale, unit);
        if (all > 0)
            text += "/" + in_bytes(static_cast<double>(all), scale, unit);
        return fmt::format("{} {}", text, unit);
    }
    return all > 0 ? fmt::format("{}/{}", grouped(done), grouped(all)) : grouped(done);
}

/// "0:07", "12:30", "3:00:09"
std::string clock_text(double seconds) {
    // A year is for ever.
    const auto whole = static_cast<std::int64_t>(std::clamp(std::ceil(seconds), 0.0, 3.2e7));
    const auto hours = whole / 3600;
    if (hours > 0)
        return fmt::format("{}:{:02}:{:02}", hours, whole / 60 % 60, whole % 60);
    return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

} // namespace

class ProgressBar::Line {
public:
    Line(std::string label, ProgressBarOptions options)
        : label_(harmless(label)), options_(options), on_terminal_(is_terminal(options.descriptor)),
          unicode_(locale_has_utf8()), coloured_(variable("NO_COLOR").empty()) {}
    ~Line() { clear(); }
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

    void show(std::uint64_t done, std::uint64_t all, std::string_view note) {
        if (::getpid() != owner_)
            return;
        const std::scoped_lock hold(mutex_);
        const auto now = Clock::now();
        if (finished_ && done == done_)
            return; // said twice
        if (done < done_ || finished_)
            begin(now, done);
        measure(now, done);
        finished_ = all > 0 && done >= all;
        if (!on_terminal_)
            return options_.elsewhere == ProgressBarOptions::Elsewhere::lines
                       ? show_plainly(now, done, all)
                       : void();
        if (finished_ && options_.keep && now >= begun_ + options_.delay) {
            draw(now, done, all, note);
            write("\n");
            forget();
        } else if (finished_) {
            wipe();
        } else if (now >= next_) {
            next_ = now + options_.interval;
            draw(now, done, all, note);
        }
    }
    void clear() noexcept {
        if (::getpid() != owner_)
            return; // the line is the parent's, and a thread of it may have held the mutex
        const std::scoped_lock hold(mutex_);
        wipe();
    }

private:
    void begin(Clock::time_point now, std::uint64_t done) {
        begun_ = now;
        next_ = now + options_.delay;
        first_done_ = done;
        measured_at_ = now;
        measured_done_ = done;
        rate_ = 0;
        told_tenths_ = 0;
    }
    /// The rate of the last seconds, the older the less: what comes will be like what came last.
    void measure(Clock::time_point now, std::uint64_t done) {
        done_ = done;
        const double passed = seconds(now - measured_at_);
        if (passed < 0.2 || done == measured_done_)
            return;
        const double rate = static_cast<double>(done - measured_done_) / passed;
        const double weight = rate_ > 0 ? 1 - std::exp(-passed / 3) : 1;
        rate_ += weight * (rate - rate_);
        measured_at_ = now;
        measured_done_ = done;
    }
    [[nodiscard]] double rate_now(Clock::time_point now) const {
        if (!finished_ && rate_ > 0)
            return rate_;
        const double passed = seconds(now - begun_);
        return passed > 0 ? static_cast<double>(done_ - first_done_) / passed : 0;
    }
    /// "0:02 left", or how long it has taken.
    [[nodiscard]] std::string time_text(Clock::time_point now, std::uint64_t done,
                                        std::uint64_t all) const {
        const double rate = rate_now(now);
        if (all > done && rate > 0)
            return clock_text(static_cast<double>(all - done) / rate) + " left";
        return clock_text(seconds(now - begun_));
    }

    void draw(Clock::time_point now, std::uint64_t done, std::uint64_t all, std::string_view note) {
        // The last column stays free: some terminals go to the next line when it is written.
        int room = width_of(options_.descriptor) - 1;
        std::string line = "  ";
        line += cut(label_, std::min(30, std::max(room - 2 - 5, 0)));
        line = cut(line, room);
        room -= columns(line);

        // What matters most finds room first.
        std::string bar;
        std::string behind;
        const auto add = [&](const std::string& piece) {
            if (const int needs = columns(piece) + 2; needs <= room && !piece.empty()) {
                behind.append("  ").append(piece);
                room -= needs;
            }
        };
        if (all > 0) {
            const double part = static_cast<double>(std::min(done, all)) / static_cast<double>(all);
            if (room >= 5) {
                behind = fmt::format(" {:3.0f}%", std::floor(part * 100));
                room -= 5;
            }
            if (const int width = std::min(room - 1, 20); width >= 5) {
                bar = " " + bar_of(part, width);
                room -= width + 1;
            }
        }
        if (options_.figures != Figures::none) {
            if (all > 0)
                add(time_text(now, done, all));
            add(count_text(done, all, options_.figures));
            if (const double rate = rate_now(now); rate > 0)
                add(rate_text(rate, options_.figures));
            if (all == 0)
                add(clock_text(seconds(now - begun_)));
        }
        if (room > 2)
            add(std::string(cut(harmless(note), room - 2)));
        write("\r\033[K" + line + bar + behind);
        if (!drawn_) {
            drawn_ = true;
            drawn_bars.fetch_add(1, std::memory_order_relaxed); // one word, which orders nothing
        }
    }
    [[nodiscard]] std::string bar_of(double part, int width) const {
        const double filled = part * width;
        const int whole = static_cast<int>(filled);
        const bool half = unicode_ && filled - whole >= 0.5;
        std::string bar;
        for (int i = 0; i < whole; ++i)
            bar += unicode_ ? "█" : "#";
        bar += half ? "▌" : "";
        const std::string rest(static_cast<std::size_t>(width - whole - (half ? 1 : 0)), ' ');
        return coloured_ ? "\033[36m" + bar + "\033[0m" + rest : bar + rest;
    }
    void show_plainly(Clock::time_point now, std::uint64_t done, std::uint64_t all) {
        const std::string count = count_text(done, all, options_.figures);
        if (finished_) {
            write(fmt::format("{}: {} in {}\n", label_,
                              options_.figures == Figures::none ? "done" : count,
                              clock_text(seconds(now - begun_))));
            return;
        }
        const std::uint64_t tenths = all > 0
                                         ? static_cast<std::uint64_t>(static_cast<double>(done) /
                                                                      static_cast<double>(all) * 10)
                                         : 0;
        const bool much = all > 0 ? tenths > told_tenths_ : now >= next_ + std::chrono::seconds(10);
        if (now < next_ || !much)
            return;
        next_ = now + options_.interval;
        told_tenths_ = tenths;
        std::string line = label_ + ":";
        if (all > 0)
            line += fmt::format(" {}%", tenths * 10);
        if (options_.figures != Figures::none)
            line += fmt::format(" {}, {}", count, time_text(now, done, all));
        write(line + "\n");
    }

    void wipe() noexcept {
        if (!drawn_)
            return;
        write("\r\033[K");
        forget();
    }
    void forget() noexcept {
        if (std::exchange(drawn_, false))
            drawn_bars.fetch_sub(1, std::memory_order_relaxed); // as above
    }
    void write(std::string_view text) const noexcept {
        // In one piece, and once: half a bar is no bar.
        [[maybe_unused]] const auto written =
            ::write(options_.descriptor, text.data(), text.size());
    }
    static double seconds(Clock::duration time) {
        return std::chrono::duration<double>(time).count();
    }

    const std::string label_;
    const ProgressBarOptions options_;
    const bool on_terminal_;
    const bool unicode_;
    const bool coloured_;
    const pid_t owner_ = ::getpid();

    std::mutex mutex_; // guards what follows
    Clock::time_point begun_ = Clock::now();
    Clock::time_point next_ = begun_ + options_.delay;
    Clock::time_point measured_at_ = begun_;
    std::uint64_t measured_done_ = 0;
    std::uint64_t first_done_ = 0;
    std::uint64_t done_ = 0;
    std::uint64_t told_tenths_ = 0;
    double rate_ = 0;
    bool finished_ = false;
    bool drawn_ = false;
};

ProgressBar::ProgressBar(std::string label, ProgressBarOptions options)
    : line_(std::make_shared<Line>(std::move(label), options)) {}

void ProgressBar::show(std::uint64_t done, std::uint64_t all, std::string_view note) const {
    line_->show(done, all, note);
}

void ProgressBar::clear() const noexcept {
    line_->clear();
}

bool ProgressBar::is_drawn() noexcept {
    return drawn_bars.load(std::memory_order_relaxed) > 0;
}

} // namespace multifork
