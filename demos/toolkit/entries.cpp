#include "toolkit/entries.hpp"

#include <algorithm>
#include <optional>

namespace demo {
namespace {

using multifork::lab::Access;
using multifork::lab::TraceEvent;

/// Waited for something and did not get it.
bool is_vain_wait(const Names& names, const TraceEvent& event) {
    return event.access == Access::mark && event.end > event.begin &&
           names.of(event.object).starts_with('!');
}

/// A load was made between its two times. Where another process stored meanwhile, its value tells
/// whether that was before or after the load.
void place_load(const std::vector<Entry>& all, Entry& load) {
    for (const Entry& other : all)
        if (other.lane != load.lane && other.event.access == Access::store &&
            other.event.object == load.event.object && other.event.end > load.event.begin &&
            other.event.end < load.event.end && other.event.value != load.event.value)
            load.at = load.event.begin;
}

/// A release was made between its two times. Who took the same meanwhile, or woke up with a lock,
/// did so after it.
void place_release(const std::vector<Entry>& all, Entry& release) {
    for (const Entry& other : all) {
        const bool takes =
            (other.event.access == Access::acquire && other.event.object == release.event.object) ||
            other.event.access == Access::wait;
        if (takes && other.lane != release.lane && other.event.end > release.event.begin &&
            other.event.end <= release.at)
            release.at = other.event.end - 1;
    }
}

/// When a process that took something began to wait for it: another held it, and gave it back
/// meanwhile. Empty when it did not have to wait.
std::optional<std::int64_t> waited_since(const std::vector<Entry>& all, const Entry& taker) {
    std::optional<std::int64_t> taken_by_other;
    for (const Entry& other : all) {
        if (other.lane == taker.lane || other.event.object != taker.event.object ||
            other.at > taker.at)
            continue;
        if (other.event.access == Access::acquire)
            taken_by_other = other.at;
        if (other.event.access == Access::release && other.at > taker.event.begin && taken_by_other)
            return std::max(taker.event.begin, *taken_by_other);
    }
    return std::nullopt;
}

} // namespace

std::vector<Entry> entries_of(const multifork::lab::Trace& trace, const Names& names) {
    std::vector<Entry> all;
    for (std::size_t lane = 0; lane < trace.lanes(); ++lane)
        for (const TraceEvent& event : trace.events(lane))
            all.push_back({event, lane, event.end});
    const auto earlier = [](const Entry& a, const Entry& b) {
        return a.at != b.at ? a.at < b.at : a.event.sequence < b.event.sequence;
    };
    for (Entry& entry : all)
        if (entry.event.access == Access::load)
            place_load(all, entry);
        else if (entry.event.access == Access::release)
            place_release(all, entry);
    std::stable_sort(all.begin(), all.end(), earlier);

    std::vector<Entry> waits;
    for (const Entry& entry : all) {
        std::optional<std::int64_t> since;
        if (entry.event.access == Access::acquire)
            since = waited_since(all, entry);
        if (entry.event.access == Access::wait || is_vain_wait(names, entry.event))
            since = entry.event.begin;
        if (since)
            waits.push_back({entry.event, entry.lane, *since, true});
    }
    all.insert(all.end(), waits.begin(), waits.end());
    std::stable_sort(all.begin(), all.end(), earlier);
    return all;
}

} // namespace demo
