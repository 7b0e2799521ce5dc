#pragma once

#include "traced.hpp"

namespace demo {

/// Prints the lost update of a traced run as a time line, and what happened in a few sentences.
/// Requires that run.example is there.
void tell_story(const TracedRun& run);

} // namespace demo
