#pragma once

#include <string_view>

namespace demo {

/// What a demo says about itself, checked on what has just happened: a line each, with a tick or a
/// cross.
///
/// \code
///   Claims claims;
///   claims.check(pids.size() == 4, "Four workers, four pids", fmt::format("{} pids",
///   pids.size())); return claims.exit_code();
/// \endcode
class Claims {
public:
    /// \param seen  what was seen, printed behind it
    /// \return whether it holds
    bool check(bool holds, std::string_view claim, std::string_view seen = {});
    /// What is reported and not judged, such as a gain in time.
    void note(std::string_view text);

    [[nodiscard]] int exit_code() const noexcept;

private:
    void begin();

    int broken_ = 0;
    bool begun_ = false;
};

} // namespace demo
