#pragma once

#include "toolkit/chronicle.hpp"

#include <multifork/lab/trace.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace demo {

/// A step of a trace at the moment at which it took effect, or the moment at which a process began
/// to wait for it.
struct Entry {
    multifork::lab::TraceEvent event;
    std::size_t lane = 0;
    std::int64_t at = 0;
    bool begins_wait = false;
};

/// All lanes' steps, and beginnings of waits, in the order of time. The clock is read before and
/// after a step, so where two steps overlap their values tell which was first.
[[nodiscard]] std::vector<Entry> entries_of(const multifork::lab::Trace& trace, const Names& names);

} // namespace demo
