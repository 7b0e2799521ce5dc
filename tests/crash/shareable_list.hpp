#pragma once

#include "crash/harness/scenario.hpp"

#include <multifork/channel/shareable_list.hpp>

#include <memory>
#include <optional>
#include <string>

// A process dies in set() of a ShareableList. The item is the old or the new one, whole.

namespace multifork::test::crash::list_scenarios {

struct World {
    std::optional<ShareableList> list;
};

inline const std::string& old_item() {
    static const std::string text(30, 'o');
    return text;
}
inline const std::string& new_item() {
    static const std::string text(21, 'n');
    return text;
}

inline std::string item(const World& world) {
    const ListItem found = world.list->at(0);
    const auto* const text = std::get_if<std::string>(&found);
    require(text != nullptr && (*text == old_item() || *text == new_item()), "a torn item");
    return *text;
}

inline Scenario setting(const std::shared_ptr<World>& world, const char* name) {
    Scenario scenario;
    scenario.name = name;
    scenario.set_up = [world] { world->list = ShareableList::create({old_item(), 1}); };
    scenario.prepare = [world] { static_cast<void>(item(*world)); };
    scenario.operation = [world] { world->list->set(0, new_item()); };
    scenario.check = [world](Round& round) {
        round.expect_all_done("set() of a survivor hangs");
        const std::string now = item(*world);
        require(now == new_item() || (!round.finished() && round.partner_count() == 0),
                "set() had returned");
        world->list->set(0, old_item());
        require(item(*world) == old_item(), "set() after a death went wrong");
        require(std::get<std::int64_t>(world->list->at(1)) == 1, "the neighbour has changed");
    };
    scenario.state = [world] { return world->list->to_string(); };
    scenario.nothing_owed_at_the_end = true;
    return scenario;
}

inline Scenario set_alone() {
    return setting(std::make_shared<World>(), "set of a list's item, alone");
}
inline Scenario set_with_others() {
    const auto world = std::make_shared<World>();
    Scenario scenario = setting(world, "set of a list's item, two arrive");
    const Job job = [world] {
        world->list->set(0, new_item());
        return std::uint64_t{1};
    };
    scenario.late = {job, job};
    return scenario;
}

} // namespace multifork::test::crash::list_scenarios
