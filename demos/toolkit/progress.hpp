#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace demo {

/// A line that says how far a long run has come: on a terminal only, and only when it takes longer
/// than a moment. It goes away without a trace.
class Progress {
public:
    explicit Progress(std::string label) : label_(std::move(label)) {}
    ~Progress() { clear(); }
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// Draws, but not more often than ten times a second.
    /// \param part  0 to 1; less than 0 when nobody knows: no bar then
    void show(double part, std::string_view note = {});
    void clear();

    /// Whether a line stands there; for the signal handler, which wipes it.
    [[nodiscard]] static bool is_drawn() noexcept;

private:
    using Clock = std::chrono::steady_clock;
    std::string label_;
    Clock::time_point next_ = Clock::now() + std::chrono::milliseconds(300);
};

} // namespace demo
