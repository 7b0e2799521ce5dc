#include <multifork/lab/lost_update.hpp>

#include <algorithm>

namespace multifork::lab {
namespace {

using Events = std::span<const TraceEvent>;

/// Whether events i and i + 1 are a load and the store of the same number plus one.
bool is_increment(Events events, std::size_t i) {
    return i + 1 < events.size() && events[i].access == Access::load &&
           events[i + 1].access == Access::store && events[i + 1].value == events[i].value + 1;
}

void find(Events late, Events early, std::size_t which, std::vector<LostUpdate>& found) {
    std::size_t inside = 0; // in early: the first store that began after late's load
    for (std::size_t i = 0; i + 1 < late.size(); ++i) {
        if (!is_increment(late, i))
            continue;
        const TraceEvent& load = late[i];
        const TraceEvent& store = late[i + 1];
        while (inside < early.size() &&
               (early[inside].access != Access::store || early[inside].begin < load.end))
            ++inside;
        if (inside == early.size())
            return;
        if (inside == 0 || early[inside].end > store.begin || early[inside - 1].value != load.value)
            continue;

        LostUpdate update{which, i, inside - 1, inside, 0};
        for (std::size_t j = inside - 1; is_increment(early, j); j += 2) {
            if (early[j + 1].end > store.begin || early[j].value != load.value + update.lost)
                break;
            update.last = j + 1;
            ++update.lost;
        }
        // A store that runs beside late's own could have come before or after it.
        const auto next =
            std::find_if(early.begin() + static_cast<std::ptrdiff_t>(update.last) + 1, early.end(),
                         [](const TraceEvent& event) { return event.access == Access::store; });
        if (update.lost > 0 && (next == early.end() || next->begin >= store.end))
            found.push_back(update);
    }
}

} // namespace

std::vector<LostUpdate> find_lost_updates(Events a, Events b) {
    std::vector<LostUpdate> found;
    find(a, b, 0, found);
    find(b, a, 1, found);
    return found;
}

std::int64_t duration(const LostUpdate& update, Events a, Events b) {
    const Events late = update.late == 0 ? a : b;
    const Events early = update.late == 0 ? b : a;
    return late[update.load + 1].end - std::min(late[update.load].begin, early[update.first].begin);
}

} // namespace multifork::lab
