#pragma once

#include "toolkit/race_main.hpp"

namespace demo {

/// The same race step by step, for --step: two processes, one increment each.
[[nodiscard]] RaceDemo stepped_counter(const char* name);

} // namespace demo
