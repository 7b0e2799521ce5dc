#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace demo {

/// The SHA-256 of a file, or why there is none. Plain bytes: it crosses from worker to parent as it
/// is.
struct FileSum {
    enum class State : std::uint8_t { summed, unreadable, not_regular, lost };
    std::array<std::uint8_t, 32> digest{};
    State state = State::summed;
    std::int32_t error = 0; ///< errno, when it is unreadable
};

/// Reads a file from its beginning to its end, piece by piece, and sums it (OpenSSL).
/// \param tell  called with the size of each piece
[[nodiscard]] FileSum sum_file(const std::string& path,
                               const std::function<void(std::size_t)>& tell);

/// As sha256sum prints it, with the newline: a name that has a backslash, newline or carriage
/// return in it is escaped, and the line begins with a backslash then.
[[nodiscard]] std::string line_of(const FileSum& sum, const std::string& path);

} // namespace demo
