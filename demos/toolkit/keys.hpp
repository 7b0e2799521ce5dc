#pragma once

namespace demo {

/// Single keys from the terminal, without Enter and without echo.
///
/// The terminal is changed only while read() waits, and put back as it was before read() returns,
/// and when a signal ends the demo meanwhile.
class Keys {
public:
    /// Whether standard input is a terminal at all.
    [[nodiscard]] static bool are_there() noexcept;
    /// \return the key; -1 at the end of the input
    [[nodiscard]] int read();

    /// For the signal handler.
    static void restore() noexcept;
};

} // namespace demo
