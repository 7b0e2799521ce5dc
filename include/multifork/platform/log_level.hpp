#pragma once

#include <cstdint>

namespace multifork {

/// How much a line in the log matters: Python's numbers, with multiprocessing's two between them.
/// Any other number up to 65535 is a level too: `LogLevel{15}`.
enum class LogLevel : std::uint16_t {
    notset = 0, ///< of the logger: as warning
    subdebug = 5,
    debug = 10,
    info = 20,
    subwarning = 25,
    warning = 30,
    error = 40,
    critical = 50,
};

} // namespace multifork
