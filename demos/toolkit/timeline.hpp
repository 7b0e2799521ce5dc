#pragma once

#include "toolkit/terminal.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace demo {

/// A moment in the life of one process.
struct Moment {
    enum class Shape { opens, closes, skipped, passes, point };
    std::size_t lane = 0;
    std::int64_t at_ns = 0;
    Shape shape = Shape::opens;
    std::string text;
    std::string note;        ///< after the text, where there is room
    std::string state;       ///< for the last column: what is true now
    bool is_context = false; ///< drawn quietly
    bool is_bad = false;     ///< drawn in the ink of what went wrong
    bool is_wait = false;    ///< drawn in the ink of waiting
    bool is_end = false;     ///< of the process's life
};

/// What a moment says; with a cross, when it is bad, for those who do not see its ink.
[[nodiscard]] std::string marked_text(const Moment& moment);
/// How far from the beginning: "0 ns", "+12.3 µs", "-60 ns".
[[nodiscard]] std::string offset_text(std::int64_t ns);

/// Draws what several processes did, time going down, a lane each:
///
///          time   Process-1          Process-2          counter
///          0 ns   ╷ load 41                                  41
///        +38 ns   │                  ╷ load 41               41
///        +83 ns   ╵ store 42 ✗ lost  │                       42
///
/// Between a moment that opens and the one that closes in the same lane a line goes down.
void draw_timeline(const std::vector<std::string>& lanes, const std::string& state_title,
                   const std::vector<Moment>& moments);

} // namespace demo
