#include "toolkit/chronicle.hpp"

#include "toolkit/entries.hpp"
#include "toolkit/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace demo {
namespace {

using multifork::lab::Access;
using multifork::lab::TraceEvent;

std::string words(std::string_view verb, const std::string& name) {
    return name.empty() ? std::string(verb) : fmt::format("{} {}", verb, name);
}

std::string text_of(const Names& names, const Entry& entry) {
    const TraceEvent& event = entry.event;
    const std::string name = names.of(event.object);
    if (entry.begins_wait && event.access == Access::mark)
        return words("wait for", names.of(event.value));
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

/// Which lock a process holds again when it wakes: the one that it took last.
std::optional<std::uint16_t> lock_of_sleeper(const std::vector<Entry>& all, std::size_t woken) {
    for (std::size_t i = woken; i-- > 0;) {
        const Access access = all[i].event.access;
        if (all[i].lane != all[woken].lane || all[i].begins_wait)
            continue;
        if (access == Access::release)
            return std::nullopt;
        if (access == Access::acquire)
            return all[i].event.object;
    }
    return std::nullopt;
}

/// What begins with that moment, if anything does, without its end.
std::optional<Stretch::Kind> begins_with(const std::vector<Entry>& all, std::size_t first) {
    const Entry& begin = all[first];
    if (begin.begins_wait)
        return Stretch::Kind::waits;
    switch (begin.event.access) {
    case Access::load:
        return Stretch::Kind::trusts;
    case Access::acquire:
        return Stretch::Kind::holds;
    case Access::wait:
        if (lock_of_sleeper(all, first))
            return Stretch::Kind::holds;
        return std::nullopt;
    case Access::store:
    case Access::compute:
    case Access::release:
    case Access::mark:
        return std::nullopt;
    }
    return std::nullopt;
}

/// The moment with which what began with `first` ends; nothing when it does not end.
std::optional<std::size_t> end_of(const std::vector<Entry>& all, std::size_t first,
                                  Stretch::Kind kind) {
    const Entry& begin = all[first];
    const bool woken = kind == Stretch::Kind::holds && begin.event.access == Access::wait;
    const std::uint16_t object = woken ? *lock_of_sleeper(all, first) : begin.event.object;
    for (std::size_t i = first + 1; i < all.size(); ++i) {
        const Entry& next = all[i];
        if (next.lane != begin.lane)
            continue;
        const Access access = next.event.access;
        // Who sleeps on a condition has given up the lock that it took last.
        if (kind == Stretch::Kind::holds && access == Access::wait && next.begins_wait &&
            lock_of_sleeper(all, i) == object)
            return i;
        if (next.event.object != object)
            continue;
        if (kind == Stretch::Kind::waits && access == begin.event.access)
            return i;
        if (kind == Stretch::Kind::holds && access == Access::release)
            return i;
        if (kind == Stretch::Kind::trusts && access == Access::load)
            return std::nullopt;
        if (kind == Stretch::Kind::trusts && access == Access::store)
            return i;
    }
    return std::nullopt;
}

/// Who gave back what the one waited for that took it with moment `to`, having begun with `first`.
std::optional<std::size_t> given_by(const std::vector<Entry>& all, std::size_t first,
                                    std::size_t to) {
    if (all[to].event.access != Access::acquire)
        return std::nullopt;
    for (std::size_t i = to; i-- > first;)
        if (all[i].event.access == Access::release && all[i].lane != all[to].lane &&
            all[i].event.object == all[to].event.object)
            return i;
    return std::nullopt;
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
    const std::vector<Entry> all = entries_of(trace, names);
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
        const auto kind = begins_with(all, i);
        if (!kind)
            continue;
        const auto end = end_of(all, i, *kind);
        if (end)
            chronicle.stretches.push_back({entry.lane, i, *end, *kind});
        else if (kind == Stretch::Kind::holds)
            chronicle.kept.push_back({entry.lane, i, Stretch::never, *kind});
        if (const auto giver = end ? given_by(all, i, *end) : std::nullopt)
            chronicle.hand_overs.push_back({*giver, *end});
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
    for (const Stretch& stretch : chronicle.kept)
        if (stretch.lane == lane)
            chronicle.stretches.push_back(stretch);
    chronicle.stretches.push_back(
        {lane, chronicle.moments.size() - 1, Stretch::never, Stretch::Kind::waits});
    chronicle.shape_moments();
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
