#include "toolkit/progress.hpp"

#include "toolkit/text.hpp"

#include <algorithm>
#include <cstdint>

namespace demo {

using multifork::ProgressBarOptions;

Progress::Progress(const std::string& label)
    : bar_(printable(label, 30), {.figures = ProgressBarOptions::Figures::none}) {}

void Progress::show(double part, std::string_view note) {
    constexpr std::uint64_t whole = 1'000'000;
    if (!terminal().tty)
        return;
    // Never the end, at which a bar goes away: who knows when that is calls clear().
    const auto done = static_cast<std::uint64_t>(std::clamp(part, 0.0, 1.0) * (whole - 1));
    bar_.show(done, part < 0 ? 0 : whole, printable(note));
}

void Progress::clear() {
    bar_.clear();
}

} // namespace demo
