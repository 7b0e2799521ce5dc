#pragma once

#include "crash/harness/pair.hpp"
#include "crash/harness/scenario.hpp"

#include <multifork/channel/value.hpp>

#include <array>
#include <memory>
#include <mutex>
#include <optional>

// A process dies in update(). The value is the old or the new one, and the lock is as it was: what
// took effect by one store leaves nothing to recover.

namespace multifork::test::crash::value_scenarios {

struct Five {
    std::array<std::uint64_t, 5> words{};
};

inline std::uint64_t number(const int& value) {
    return static_cast<std::uint64_t>(value);
}
inline std::uint64_t number(const Five& value) {
    for (const std::uint64_t word : value.words)
        require(word == value.words[0], "a torn value");
    return value.words[0];
}
inline void add_one(int& value) {
    value += 1;
}
inline void add_one(Five& value) {
    for (std::uint64_t& word : value.words)
        ++word;
}

template <class T>
struct World {
    std::optional<Value<T>> value;
};

template <class T>
std::uint64_t update(World<T>& world) {
    return number(world.value->update([](T& v) { add_one(v); }));
}

template <class T>
Scenario updating(const std::shared_ptr<World<T>>& world, const std::string& name) {
    Scenario scenario;
    scenario.name = name + " of " + std::to_string(sizeof(T)) + " bytes";
    scenario.set_up = [world] { world->value.emplace(); };
    scenario.prepare = [world] { const std::scoped_lock attached(world->value->get_lock()); };
    scenario.operation = [world] { update(*world); };
    scenario.at_kill = [world] { number(world->value->value().get()); };
    scenario.check = [world](Round& round) {
        const std::uint64_t partners = round.partner_count();
        for (std::size_t i = 0; i < partners; ++i)
            static_cast<void>(round.result_of(i, "update() of a survivor hangs"));
        const std::uint64_t now = number(world->value->value().get());
        require(now == partners + 1 || (!round.finished() && now == partners),
                "an update is lost or doubled");
        // Never OwnerDied, and one more than before.
        require(update(*world) == now + 1, "an update after a death went wrong");
        require(!world->value->get_lock().owner(), "the lock is not free");
    };
    scenario.state = [world] { return world->value->get_lock().to_string(); };
    scenario.nothing_owed_at_the_end = true;
    return scenario;
}

template <class T>
Scenario alone() {
    return updating<T>(std::make_shared<World<T>>(), "update, alone,");
}

template <class T>
Scenario with_late_updaters() {
    const auto world = std::make_shared<World<T>>();
    Scenario scenario = updating<T>(world, "update, two arrive,");
    scenario.late = {[world] { return update(*world); }, [world] { return update(*world); }};
    return scenario;
}

} // namespace multifork::test::crash::value_scenarios
