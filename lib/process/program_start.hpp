#pragma once

#include <string>

namespace multifork::detail {

/// Whether this program's start came through program_start.cpp. If not, a spawned copy of it would
/// run main(), and spawn the next one there.
[[nodiscard]] bool takes_over_before_main() noexcept;

/// As it was called.
[[nodiscard]] std::string program_name();

} // namespace multifork::detail
