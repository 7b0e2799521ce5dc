#pragma once

#include "toolkit/chronicle.hpp"
#include "traced.hpp"

namespace demo {

/// Prints the lost update of a traced run as a time line, and what happened in a few sentences.
/// Requires that run.example is there.
/// \return the same, for a picture
Chronicle tell_story(const TracedRun& run);

} // namespace demo
