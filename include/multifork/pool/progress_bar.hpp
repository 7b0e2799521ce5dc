#pragma once

#include <multifork/platform/export.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace multifork {

struct ProgressBarOptions {
    /// What a ProgressBar does where no terminal listens.
    enum class Elsewhere : std::uint8_t {
        silent, ///< nothing
        lines   ///< a plain line at each tenth, and one at the end
    };
    /// What is counted.
    enum class Figures : std::uint8_t {
        none,  ///< shown as a part only, without counts and rate
        items, ///< "1,204/2,879  812/s"
        bytes  ///< "1.2/2.9 GB  412 MB/s"
    };
    int descriptor = 2; ///< where it is drawn: stderr
    Elsewhere elsewhere = Elsewhere::silent;
    Figures figures = Figures::items;
    bool keep = false; ///< the finished bar stays, on a line of its own
    /// What is over sooner than this is not drawn at all.
    std::chrono::milliseconds delay{300};
    std::chrono::milliseconds interval{100}; ///< between two drawings
};

/// A line that says how far a long run has come, how fast it goes, and how long it will take:
///
///   hashing ████████▌            42%  1,204/2,879  812/s  0:02 left
///
/// \code
///   pool.map(hash, files, {.progress = mp::progress_bar("hashing")});
/// \endcode
///
/// It is drawn on a terminal only; what has no room there is left out. It goes away without a trace
/// when all is done, when it is cleared, and when its last copy is destroyed, by an exception as
/// well. Copies are the same bar. What cannot be written is not written; nothing is thrown for it.
///
/// \threads safe
/// \fork    a child's copy draws nothing
class MULTIFORK_API ProgressBar {
public:
    explicit ProgressBar(std::string label, ProgressBarOptions options = {});

    /// As MapOptions::progress.
    void operator()(std::size_t done, std::size_t all) const { show(done, all); }

    /// Draws, if it is time. `done == all` is the end; less than the last time is a new beginning.
    /// \param all   0 when nobody knows: no bar then
    /// \param note  at the end of the line, if there is room; UTF-8 without control characters
    void show(std::uint64_t done, std::uint64_t all, std::string_view note = {}) const;
    /// Takes the line off the terminal, to write there; show() draws it again.
    void clear() const noexcept;

    /// Whether a bar stands on a terminal at this moment. Async-signal-safe: for a handler that
    /// wipes it ("\r\033[K") before the program ends.
    [[nodiscard]] static bool is_drawn() noexcept;

private:
    class Line;
    std::shared_ptr<Line> line_;
};

[[nodiscard]] inline ProgressBar progress_bar(std::string label, ProgressBarOptions options = {}) {
    return ProgressBar(std::move(label), options);
}

} // namespace multifork
