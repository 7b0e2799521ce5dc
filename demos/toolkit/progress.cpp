#include "toolkit/progress.hpp"

#include "toolkit/text.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>

namespace demo {
namespace {

std::atomic<bool> drawn{false};

bool wanted() {
    static const bool yes = terminal().tty && ::isatty(STDERR_FILENO) == 1 && [] {
        const char* const kind = std::getenv("TERM");
        return kind == nullptr || std::string_view(kind) != "dumb";
    }();
    return yes;
}

} // namespace

bool Progress::is_drawn() noexcept {
    return drawn;
}

void Progress::show(double part, std::string_view note) {
    if (!wanted() || Clock::now() < next_)
        return;
    next_ = Clock::now() + std::chrono::milliseconds(100);

    constexpr int width = 20;
    std::string bar;
    if (part >= 0) {
        const double filled = std::min(part, 1.0) * width;
        const int whole = static_cast<int>(filled);
        bar = repeat(glyphs().bar, whole);
        if (filled - whole >= 0.5)
            bar += glyphs().half_bar;
        bar = paint(Ink::first, bar) + repeat(" ", width + 1 - columns(bar));
    }
    const std::string label = printable(label_, 30);
    const int room = terminal().width - columns(label) - width - 6;
    drawn = true;
    fmt::print(stderr, "\r\033[K  {} {}{}", label, bar,
               paint(Ink::quiet, printable(note, std::max(room, 0))));
    std::fflush(stderr);
}

void Progress::clear() {
    if (!drawn.exchange(false))
        return;
    fmt::print(stderr, "\r\033[K");
    std::fflush(stderr);
}

} // namespace demo
