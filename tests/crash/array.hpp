#pragma once

#include "crash/harness/scenario.hpp"

#include <multifork/channel/array.hpp>

#include <cstdint>
#include <memory>
#include <optional>

// A process dies in resize(). The array has the old size, or the new one with all its new elements.

namespace multifork::test::crash::array_scenarios {

struct World {
    std::optional<Array<std::uint64_t>> array;
};

inline constexpr std::size_t before = 3;
inline constexpr std::size_t after = 8;
inline constexpr std::uint64_t filled = 7;

inline bool whole(const Array<std::uint64_t>& array) {
    const std::size_t size = array.size();
    if (size != before && size != after)
        return false;
    for (std::size_t i = 0; i < size; ++i)
        if (array[i] != (i < before ? 1 : filled))
            return false;
    return true;
}

inline std::uint64_t grow(World& world) {
    world.array->resize(after, filled);
    return world.array->size();
}

inline Scenario resizing(const std::shared_ptr<World>& world, const char* name) {
    Scenario scenario;
    scenario.name = name;
    scenario.set_up = [world] {
        world->array.emplace(after);
        world->array->fill(1); // what resize() must not take for new elements
        world->array->resize(before);
    };
    scenario.prepare = [world] { const std::scoped_lock attached(world->array->get_lock()); };
    scenario.operation = [world] { grow(*world); };
    scenario.at_kill = [world] { require(whole(*world->array), "a half-grown array is visible"); };
    scenario.check = [world](Round& round) {
        for (std::size_t i = 0; i < round.partner_count(); ++i)
            require(round.result_of(i, "resize() of a survivor hangs") == after, "wrong size");
        require(whole(*world->array), "the array is half grown");
        require(!round.finished() || world->array->size() == after, "resize() had returned");
        require(grow(*world) == after && whole(*world->array), "resize() after a death");
        require(!world->array->get_lock().owner(), "the lock is not free");
    };
    scenario.state = [world] { return world->array->to_string(); };
    scenario.nothing_owed_at_the_end = true;
    return scenario;
}

inline Scenario resize_alone() {
    return resizing(std::make_shared<World>(), "resize, alone");
}
inline Scenario resize_with_others() {
    const auto world = std::make_shared<World>();
    Scenario scenario = resizing(world, "resize, two arrive");
    scenario.late = {[world] { return grow(*world); }, [world] { return grow(*world); }};
    return scenario;
}

/// Who only reads leaves nothing half done, and nobody has to recover.
inline Scenario read_alone() {
    const auto world = std::make_shared<World>();
    Scenario scenario = resizing(world, "read");
    scenario.operation = [world] {
        require(world->array->to_vector().size() == before && world->array->slice(1, 2).size() == 1,
                "what is read");
    };
    scenario.check = [world](Round&) {
        require(grow(*world) == after && whole(*world->array), "resize() after a reader's death");
        require(!world->array->get_lock().owner(), "the lock is not free");
    };
    return scenario;
}

} // namespace multifork::test::crash::array_scenarios
