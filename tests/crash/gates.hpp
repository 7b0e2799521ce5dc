#pragma once

#include "crash/harness/scenario.hpp"
#include "support/leftovers.hpp"

#include <multifork/lab/step_gate.hpp>
#include <multifork/lab/wait_board.hpp>
#include <multifork/sync/lock.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

// A part dies on its way to a step gate, or in its step; a director dies while it allows one: the
// other one is told where the part is, and does not hang. Somebody dies while it says on a wait
// board what it waits for: it is in no circle.

namespace multifork::test::crash::gate_scenarios {

using lab::Access;
using lab::Standing;
using lab::StepGate;

struct World {
    std::optional<StepGate> gate;
    std::optional<StepGate::Part> part; // the victim's
    std::optional<Lock> elsewhere;      // in a memory of its own
};

inline constexpr lab::Step announced{Access::load, 7, 42};

inline std::uint64_t number(Standing standing) {
    return static_cast<std::uint64_t>(standing);
}

/// Waits for part 0 as the director does. A part that stands there has said what it will do.
inline Job director(const std::shared_ptr<World>& world) {
    return [world] {
        const Standing standing = world->gate->wait(0);
        if (standing == Standing::parked) {
            const lab::Step next = world->gate->next(0);
            require(next.access == announced.access && next.object == announced.object &&
                        next.value == announced.value,
                    "a part stands at the gate and has not said why");
        }
        return number(standing);
    };
}

inline Scenario with_a_part(const char* name, const std::shared_ptr<World>& world) {
    Scenario scenario;
    scenario.name = name;
    scenario.set_up = [world] { world->gate.emplace(1); };
    scenario.prepare = [world] { world->part.emplace(world->gate->part(0)); };
    scenario.state = [world] {
        return "the part is " + std::to_string(number(world->gate->look(0)));
    };
    return scenario;
}

/// The director sleeps, or comes while the part stands still somewhere on its way to the gate.
inline Scenario on_the_way_to_the_gate() {
    const auto world = std::make_shared<World>();
    Scenario scenario = with_a_part("step gate: a part arrives, the director waits", world);
    scenario.operation = [world] { world->part->step(announced); };
    scenario.early = {director(world)};
    scenario.late = {director(world)};
    scenario.check = [world](Round& round) {
        for (std::size_t i = 0; i < round.partner_count(); ++i) {
            const auto seen = round.result_of(i, "the director waits for a dead part");
            require(seen == number(Standing::parked) || seen == number(Standing::dead),
                    "the director saw a part that never was there");
        }
        require(world->gate->look(0) == Standing::dead, "a dead part passes for a living one");
    };
    return scenario;
}

/// Once allowed, it makes its step and leaves.
inline Scenario in_its_step() {
    const auto world = std::make_shared<World>();
    Scenario scenario = with_a_part("step gate: a part makes its step and leaves", world);
    scenario.operation = [world] {
        world->part->step(announced);
        world->part->leave();
    };
    scenario.wake = [world] { world->gate->allow(0); };
    scenario.late = {director(world)};
    scenario.check = [world](Round& round) {
        const auto seen = round.result_of(0, "the director waits for a dead part");
        const Standing now = world->gate->look(0);
        require(now == Standing::gone || (!round.finished() && now == Standing::dead),
                "whether the part has left is not certain");
        require(seen == number(now), "the director saw something else than there is");
    };
    return scenario;
}

/// In its step it uses an object in another memory: its death rings the bell there, and the
/// director must look after the part itself.
inline Scenario elsewhere_in_its_step() {
    const auto world = std::make_shared<World>();
    Scenario scenario = with_a_part("step gate: a part is elsewhere, the director waits", world);
    scenario.set_up = [world] {
        world->gate.emplace(1);
        world->elsewhere.reset(); // by its last user: those of the last round are gone
        world->elsewhere.emplace(Lock::create(unique_name("elsewhere")));
    };
    scenario.operation = [world] {
        world->elsewhere->lock();
        world->elsewhere->unlock();
        world->part->step(announced);
    };
    scenario.early = {director(world)};
    scenario.check = [world](Round& round) {
        const auto seen = round.result_of(0, "the director waits for a dead part");
        require(seen == number(Standing::parked) || seen == number(Standing::dead),
                "the director saw a part that never was there");
        require(world->gate->look(0) == Standing::dead, "a dead part passes for a living one");
    };
    return scenario;
}

/// Who allows the step dies; the part gets on, at once or when somebody else allows it.
inline Scenario while_it_allows() {
    const auto world = std::make_shared<World>();
    Scenario scenario;
    scenario.name = "step gate: a step is allowed, the part sleeps";
    scenario.set_up = [world] { world->gate.emplace(1); };
    scenario.prepare = [] { const Lock attaches; };
    scenario.operation = [world] { world->gate->allow(0); };
    scenario.early = {[world] {
        StepGate::Part part = world->gate->part(0);
        part.step(announced);
        part.leave();
        return std::uint64_t{1};
    }};
    scenario.check = [world](Round& round) {
        if (world->gate->look(0) == Standing::parked) {
            require(!round.finished(), "a step that was allowed is not");
            world->gate->allow(0);
        }
        round.expect_all_done("a part sleeps although its step was allowed");
        require(world->gate->look(0) == Standing::gone, "the part has not left");
    };
    return scenario;
}

struct Board {
    std::optional<lab::WaitBoard> board;
    std::array<std::optional<Lock>, 2> locks;
    std::unique_ptr<lab::WaitBoard::Waiting> ours;
    [[nodiscard]] std::size_t circle() const {
        const std::array both{*locks[0], *locks[1]};
        return board->find_circle(both).size();
    }
};

/// The victim has lock 0 and goes to sleep for lock 1; the test has that one, and waits for 0.
inline Scenario in_a_circle() {
    const auto world = std::make_shared<Board>();
    Scenario scenario;
    scenario.name = "wait board: one of a circle of two";
    scenario.set_up = [world] {
        world->ours.reset();
        for (auto& lock : world->locks)
            lock.emplace();
        world->board.emplace(2);
        world->locks[1]->lock();
        // In its place: a Waiting is not moved.
        world->ours.reset(new lab::WaitBoard::Waiting(world->board->waits(1, 0)));
    };
    scenario.prepare = [world] { world->locks[0]->lock(); };
    scenario.operation = [world] {
        const auto waiting = world->board->waits(0, 1);
        world->locks[1]->lock();
    };
    scenario.at_kill = [world] {
        const std::size_t found = world->circle();
        require(found == 0 || found == 2, "half a circle");
    };
    scenario.check = [world](Round& round) {
        require(world->circle() == 0, "a dead process is in a circle");
        require(!round.finished(), "a lock was taken that is held");
        static_cast<void>(world->locks[0]->recover());
        require(world->locks[0]->try_lock(), "the lock of the dead is held");
        world->locks[0]->unlock();
        world->ours.reset();
        world->locks[1]->unlock();
    };
    return scenario;
}

} // namespace multifork::test::crash::gate_scenarios
