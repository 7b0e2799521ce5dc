#include <multifork/error.hpp>
#include <multifork/lab/trace.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace multifork::lab {
namespace {

constexpr std::size_t header_bytes = 64;
constexpr std::size_t page_bytes = 4096;

std::size_t lane_size(std::size_t events) {
    return header_bytes + (events * sizeof(TraceEvent) + 63) / 64 * 64;
}

arena::Object make(std::size_t lanes, std::size_t events) {
    constexpr std::size_t most = std::numeric_limits<std::uint32_t>::max();
    if (lanes == 0 || events == 0 || lanes > 65'536 || events > most)
        throw InvalidArgument(fmt::format("a trace of {} lanes with {} events each cannot be; ask "
                                          "for 1 to 65536 lanes and 1 to {} events",
                                          lanes, events, most));
    return arena::Object::make(lanes * lane_size(events), arena::Kind::trace, [](std::byte*) {});
}

} // namespace

Trace::Trace(std::size_t lanes, std::size_t events_per_lane)
    : lanes_(lanes), capacity_(events_per_lane), object_(make(lanes, events_per_lane)) {}

std::byte* Trace::lane_bytes(std::size_t index) const {
    if (index >= lanes_)
        throw InvalidArgument(fmt::format("lane {} of a trace that has {}", index, lanes_));
    return object_.data() + index * lane_size(capacity_);
}

TraceLane Trace::lane(std::size_t index) const {
    static_assert(sizeof(TraceLane::Header) <= header_bytes);
    std::byte* const first = lane_bytes(index);
    for (std::size_t at = 0; at < lane_size(capacity_); at += page_bytes) {
        volatile std::byte& page = first[at];
        page = page; // a write, or the page would be mapped for reading only
    }
    return TraceLane(reinterpret_cast<TraceLane::Header*>(first),
                     reinterpret_cast<TraceEvent*>(first + header_bytes), capacity_);
}

std::vector<TraceEvent> Trace::events(std::size_t index) const {
    const std::byte* const first = lane_bytes(index);
    const auto& header = *reinterpret_cast<const TraceLane::Header*>(first);
    const auto* const events = reinterpret_cast<const TraceEvent*>(first + header_bytes);
    // acquire: pairs with the release in TraceLane::record()
    const std::uint64_t count = header.count.load(std::memory_order_acquire);
    return {events, events + std::min<std::uint64_t>(count, capacity_)};
}

std::uint64_t Trace::dropped(std::size_t index) const {
    return reinterpret_cast<const TraceLane::Header*>(lane_bytes(index))
        ->dropped.load(std::memory_order_relaxed);
}

} // namespace multifork::lab
