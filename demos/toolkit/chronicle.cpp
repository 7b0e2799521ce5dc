#include "toolkit/chronicle.hpp"

#include "toolkit/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace demo {
namespace {

using multifork::lab::Access;
using multifork::lab::TraceEvent;

struct Entry {
    TraceEvent event;
    std::size_t lane = 0;
    std::int64_t at = 0;
    bool begins_wait = false;
};

std::string object_name(const Names& names, std::uint16_t object) {
    return object < names.objects.size() ? names.objects[object] : "";
}

std::string words(std::string_view verb, const std::string& name) {
    return name.empty() ? std::string(verb) : fmt::format("{} {}", verb, name);
}

std::string text_of(const Names& names, const Entry& entry) {
    const TraceEvent& event = entry.event;
    const std::string name = object_name(names, event.object);
    const std::string value = grouped(event.value);
    switch (event.access) {
    case Access::load:
        return words("load", name) + " " + value;
    case Access::store:
        return words("store", name) + " " + value;
    case Access::acquire:
        return words(entry.begins_wait ? "wait for" : names.acquire, name);
    case Access::release:
        return words(names.release, name);
    case Access::wait:
        return words(entry.begins_wait ? "sleep on" : "woken by", name);
    case Access::compute:
    case Access::mark:
        break;
    }
    std::string text = name;
    if (const auto at = text.find("{}"); at != std::string::npos)
        text.replace(at, 2, value);
    return text;
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

std::vector<Entry> entries_of(const multifork::lab::Trace& trace) {
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
    std::stable_sort(all.begin(), all.end(), earlier);

    std::vector<Entry> waits;
    for (const Entry& entry : all) {
        std::optional<std::int64_t> since;
        if (entry.event.access == Access::acquire)
            since = waited_since(all, entry);
        if (entry.event.access == Access::wait)
            since = entry.event.begin;
        if (since)
            waits.push_back({entry.event, entry.lane, *since, true});
    }
    all.insert(all.end(), waits.begin(), waits.end());
    std::stable_sort(all.begin(), all.end(), earlier);
    return all;
}

/// The moment, after `first`, with which what began there ends; 0 when nothing began.
std::size_t end_of(const std::vector<Entry>& all, std::size_t first, Stretch::Kind& kind) {
    const Entry& begin = all[first];
    const bool load = begin.event.access == Access::load;
    kind = begin.begins_wait ? Stretch::Kind::waits
           : load            ? Stretch::Kind::trusts
                             : Stretch::Kind::holds;
    if (!begin.begins_wait && !load && begin.event.access != Access::acquire)
        return 0;
    for (std::size_t i = first + 1; i < all.size(); ++i) {
        const Entry& next = all[i];
        if (next.lane != begin.lane || next.event.object != begin.event.object)
            continue;
        switch (next.event.access) {
        case Access::acquire:
        case Access::wait:
            if (begin.begins_wait)
                return i;
            break;
        case Access::release:
            if (kind == Stretch::Kind::holds)
                return i;
            break;
        case Access::load:
            if (load)
                return 0;
            break;
        case Access::store:
            if (load)
                return i;
            break;
        case Access::compute:
        case Access::mark:
            break;
        }
    }
    return 0;
}

} // namespace

void Chronicle::shape_moments() {
    for (std::size_t i = 0; i < moments.size(); ++i) {
        bool begins = false;
        bool ends = false;
        bool inside = false;
        for (const Stretch& stretch : stretches) {
            if (stretch.lane != moments[i].lane || i < stretch.first || i > stretch.last)
                continue;
            begins |= i == stretch.first;
            ends |= i == stretch.last;
            inside |= i > stretch.first && i < stretch.last;
        }
        if (inside || (begins && ends))
            moments[i].shape = Moment::Shape::passes;
        else if (begins || ends)
            moments[i].shape = begins ? Moment::Shape::opens : Moment::Shape::closes;
        else
            moments[i].shape = Moment::Shape::point;
    }
}

Chronicle chronicle_of(const multifork::lab::Trace& trace, std::vector<std::string> lanes,
                       const Names& names) {
    Chronicle chronicle;
    chronicle.lanes = std::move(lanes);
    chronicle.state_title = names.state_title;
    const std::vector<Entry> all = entries_of(trace);
    std::string state;
    for (std::size_t i = 0; i < all.size(); ++i) {
        const Entry& entry = all[i];
        const bool is_number =
            entry.event.access == Access::load || entry.event.access == Access::store;
        // A load tells what the number was before the first store only: later it is a copy.
        if (is_number && entry.event.object == names.tracked &&
            (entry.event.access == Access::store || state.empty()))
            state = grouped(entry.event.value);
        Moment moment;
        moment.lane = entry.lane;
        moment.at_ns = entry.at - all.front().at;
        moment.text = text_of(names, entry);
        moment.is_bad = moment.text.starts_with('!');
        if (moment.is_bad)
            moment.text.replace(0, 1, fmt::format("{} ", glyphs().cross));
        moment.is_wait = entry.begins_wait;
        moment.state = state;
        chronicle.moments.push_back(std::move(moment));
        Stretch stretch{entry.lane, i, 0, Stretch::Kind::trusts};
        stretch.last = end_of(all, i, stretch.kind);
        if (stretch.last != 0)
            chronicle.stretches.push_back(stretch);
    }
    chronicle.shape_moments();
    return chronicle;
}

void add_ending(Chronicle& chronicle, std::size_t lane, const std::string& text) {
    Moment moment;
    moment.lane = lane;
    moment.text = fmt::format("{} {}", glyphs().cross, text);
    moment.is_bad = true;
    moment.shape = Moment::Shape::point;
    if (!chronicle.moments.empty()) {
        moment.at_ns = chronicle.moments.back().at_ns;
        moment.state = chronicle.moments.back().state;
    }
    chronicle.moments.push_back(std::move(moment));
}

void tell(const Chronicle& chronicle) {
    fmt::print("\n");
    if (!chronicle.title.empty())
        fmt::print("{}\n", paint(Ink::quiet, chronicle.title));
    draw_timeline(chronicle.lanes, chronicle.state_title, chronicle.moments);
    if (chronicle.verdict.empty())
        return;
    const bool bad = chronicle.went_wrong;
    fmt::print("\n");
    paragraph(fmt::format("{} {}", bad ? glyphs().cross : glyphs().tick, chronicle.verdict),
              bad ? Ink::bad : Ink::good);
}

} // namespace demo
