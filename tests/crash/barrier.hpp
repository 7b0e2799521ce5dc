#pragma once

#include "crash/harness/pair.hpp"
#include "crash/harness/scenario.hpp"
#include "support/leftovers.hpp"

#include <multifork/arena/object.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/error.hpp>
#include <multifork/sync/barrier.hpp>
#include <multifork/sync/lock.hpp>

#include <memory>
#include <mutex>
#include <optional>

// A process dies at a barrier. Either all of its round pass, or none does; nobody hangs, and after
// reset() the barrier is as new.

namespace multifork::test::crash::barrier_scenarios {

enum : std::uint64_t { passed = 1, broken = 2, too_early = 3 };

struct World {
    std::optional<Barrier> barrier;
    std::optional<Value<int>> actions;
};
using Shared = std::shared_ptr<World>;

inline std::uint64_t meet(World& world) {
    try {
        world.barrier->arrive_and_wait_for(std::chrono::nanoseconds(4 * hang_limit_ns()));
        return !world.actions || world.actions->load() == 1 ? passed : too_early;
    } catch (const BrokenBarrier&) {
        return broken;
    }
}

inline Job party(const Shared& world) {
    return [world] { return meet(*world); };
}

/// Three parties, of which the victim is one, and the partners others.
inline Scenario meeting(const char* name, const Shared& world) {
    Scenario scenario;
    scenario.name = name;
    scenario.set_up = [world] { world->barrier.emplace(3); };
    scenario.prepare = [world] { static_cast<void>(world->barrier->broken()); };
    scenario.operation = [world] { static_cast<void>(meet(*world)); };
    scenario.nothing_owed_at_the_end = true;
    scenario.check = [world](Round& round) {
        // Who died before it has arrived is missing: then the test comes in its place.
        std::uint64_t first = 0;
        static_cast<void>(await([&] {
            if (round.partners_done() == round.partner_count())
                return true;
            return world->barrier->waiting() == 2 && (first = meet(*world)) != 0;
        }));
        for (std::size_t i = 0; i < round.partner_count(); ++i) {
            const std::uint64_t end = round.result_of(i, "a party waits on at the barrier");
            require(end != too_early, "somebody passed before the action was over");
            first = first == 0 ? end : first;
            require(end == first, "some passed and some did not");
        }
        require(!round.finished() || first == passed, "all were there, and the barrier broke");
        world->barrier->reset();
        require(!world->barrier->broken() && world->barrier->waiting() == 0,
                "the barrier is not as new after reset()");
    };
    scenario.state = [world] { return world->barrier->to_string(); };
    return scenario;
}

inline Scenario last_arrives() {
    const auto world = std::make_shared<World>();
    Scenario scenario = meeting("barrier: the last arrives, two asleep", world);
    scenario.early = {party(world), party(world)};
    return scenario;
}

inline Scenario last_arrives_and_acts() {
    const auto world = std::make_shared<World>();
    Scenario scenario = meeting("barrier: the last arrives and acts, two asleep", world);
    scenario.set_up = [world] {
        world->actions.emplace(0);
        world->barrier.emplace(3, [world] { world->actions->store(1); });
    };
    scenario.early = {party(world), party(world)};
    return scenario;
}

inline Scenario one_arrives() {
    const auto world = std::make_shared<World>();
    Scenario scenario = meeting("barrier: one arrives between two others", world);
    scenario.early = {party(world)};
    scenario.late = {party(world)};
    return scenario;
}

/// Nobody else comes: the one who waits must hear of the death.
inline Scenario one_dies_waiting() {
    const auto world = std::make_shared<World>();
    Scenario scenario = meeting("barrier: one dies waiting, one asleep", world);
    scenario.early = {party(world)};
    scenario.check = [world](Round& round) {
        if (!round.died_asleep() && !world->barrier->broken())
            world->barrier->abort(); // it died before it had arrived
        require(round.result_of(0, "a party waits for a dead one") == broken,
                "somebody passed a barrier at which not all were");
    };
    return scenario;
}

inline Scenario woken() {
    const auto world = std::make_shared<World>();
    Scenario scenario = meeting("barrier: woken, one asleep behind", world);
    scenario.behind = {party(world)};
    scenario.wake = [world] { require(meet(*world) == passed, "all were there"); };
    return scenario;
}

/// The victim breaks the barrier in one way or another; afterwards nobody waits on.
inline Scenario breaking(const char* name, const Shared& world, Action operation) {
    Scenario scenario = meeting(name, world);
    scenario.operation = std::move(operation);
    scenario.early = {party(world), party(world)};
    scenario.check = [world](Round& round) {
        if (!round.finished())
            world->barrier->reset();
        for (std::size_t i = 0; i < round.partner_count(); ++i)
            require(round.result_of(i, "a party waits on at a broken barrier") == broken,
                    "somebody passed a barrier at which not all were");
        world->barrier->reset();
        require(!world->barrier->broken() && world->barrier->waiting() == 0,
                "the barrier is not as new after reset()");
    };
    return scenario;
}

inline Scenario aborting() {
    const auto world = std::make_shared<World>();
    return breaking("barrier: abort, two asleep", world, [world] { world->barrier->abort(); });
}
inline Scenario resetting() {
    const auto world = std::make_shared<World>();
    return breaking("barrier: reset, two asleep", world, [world] { world->barrier->reset(); });
}

/// The bare cell of a barrier for four.
struct Bare {
    arena::Object object;
    void fresh() {
        object =
            arena::Object::make(core::barrier_bytes(4), arena::Kind::barrier, [](std::byte*) {});
    }
    [[nodiscard]] core::BarrierView view() const {
        return {*reinterpret_cast<core::BarrierCell*>(object.data()), 4, object.space().domain()};
    }
    /// The caller arrives so often. \return what the last arrival came to
    [[nodiscard]] core::BarrierState arrive(int times) const {
        auto state = core::BarrierState::waiting;
        while (times-- > 0)
            state = core::barrier_arrive(view(), platform::Deadline::never()).state;
        return state;
    }
    [[nodiscard]] std::uint64_t wait(std::uint32_t round, platform::Deadline deadline) const {
        return core::barrier_wait(view(), round, deadline) == core::BarrierState::passed ? passed
                                                                                         : broken;
    }
    [[nodiscard]] std::uint64_t meet(platform::Deadline deadline) const {
        const auto arrival = core::barrier_arrive(view(), deadline);
        return arrival.state == core::BarrierState::waiting ? wait(arrival.round, deadline)
                                                            : broken;
    }
};

/// On the bare cell, because an exception is tens of thousands of instructions.
inline Scenario timing_out() {
    const auto bare = std::make_shared<Bare>();
    Scenario scenario;
    scenario.name = "barrier: time runs out, two asleep";
    scenario.set_up = [bare] { bare->fresh(); };
    scenario.prepare = [bare] {
        static_cast<void>(liveness::enter(bare->object.space().domain()));
    };
    scenario.operation = [bare] { static_cast<void>(bare->meet(platform::Deadline::poll())); };
    const Job patient = [bare] { return bare->meet(platform::Deadline::never()); };
    scenario.early = {patient, patient};
    scenario.nothing_owed_at_the_end = true;
    scenario.check = [bare](Round& round) {
        if (!round.finished())
            core::barrier_reset(bare->view());
        for (std::size_t i = 0; i < round.partner_count(); ++i)
            require(round.result_of(i, "a party waits on at a broken barrier") == broken,
                    "somebody passed a barrier at which not all were");
        core::barrier_reset(bare->view());
        require(!core::barrier_broken(bare->view()) && core::barrier_waiting(bare->view()) == 0,
                "the barrier is not as new after reset");
    };
    return scenario;
}

/// All places of a round are taken by the test, as if its action ran. Who comes now has no part in
/// that round: the victim, and a partner that has patience, who wait for the one behind it.
inline Scenario late(const char* name, const std::shared_ptr<Bare>& bare,
                     platform::Deadline deadline) {
    Scenario scenario;
    scenario.name = name;
    scenario.set_up = [bare] {
        bare->fresh();
        require(bare->arrive(4) == core::BarrierState::last, "four did not fill a barrier");
    };
    scenario.prepare = [bare] {
        static_cast<void>(liveness::enter(bare->object.space().domain()));
    };
    scenario.operation = [bare, deadline] { static_cast<void>(bare->meet(deadline)); };
    return scenario;
}

/// Its death changes nothing in a round in which it has no part.
inline Scenario dies_late(const char* name, platform::Deadline deadline) {
    const auto bare = std::make_shared<Bare>();
    Scenario scenario = late(name, bare, deadline);
    scenario.early = {[bare] { return bare->meet(platform::Deadline::never()); }};
    scenario.nothing_owed_at_the_end = true;
    scenario.check = [bare](Round& round) {
        require(core::barrier_pass(bare->view(), 0) == core::BarrierState::passed,
                "who has no part in a round has broken it");
        require(await([&] { return core::barrier_waiting(bare->view()) == 1; }),
                "who was late does not arrive in the next round");
        require(bare->arrive(3) == core::BarrierState::last, "the next round broke");
        require(core::barrier_pass(bare->view(), 1) == core::BarrierState::passed &&
                    round.result_of(0, "who was late waits on") == passed,
                "the next round was not passed");
    };
    return scenario;
}

inline Scenario too_late() {
    return dies_late("barrier: too late for an action, another one held up",
                     platform::Deadline::poll());
}
inline Scenario held_up() {
    return dies_late("barrier: held up by an action, another one, too",
                     platform::Deadline::never());
}

/// Woken by the end of the action, it dies on its way into the next round, whose other places are
/// the partner's and the test's.
inline Scenario woken_late() {
    const auto bare = std::make_shared<Bare>();
    Scenario scenario = late("barrier: late, woken by the end of the action, one behind", bare,
                             platform::Deadline::never());
    scenario.behind = {[bare] { return bare->meet(platform::Deadline::never()); }};
    scenario.wake = [bare] {
        require(core::barrier_pass(bare->view(), 0) == core::BarrierState::passed,
                "who has no part in a round has broken it");
    };
    scenario.check = [bare](Round& round) {
        static_cast<void>(bare->arrive(2)); // it broke if the victim was there
        require(await([&] {
                    return round.partners_done() == 1 || core::barrier_waiting(bare->view()) == 3;
                }),
                "who was late does not arrive in the next round");
        std::uint64_t end = broken;
        if (bare->arrive(1) == core::BarrierState::last &&
            core::barrier_pass(bare->view(), 1) == core::BarrierState::passed)
            end = passed;
        require(round.result_of(0, "who was late waits on") == end, "one passed and one did not");
        // Nobody counted the steps of one that went astray.
        require(end == passed || round.steps() > 0 || round.strayed(),
                "who had not arrived has broken the round");
    };
    return scenario;
}

/// A barrier for two. If A died on its way, the test comes in its place.
inline Pair two_arrive(Pair::Order order) {
    const auto world = std::make_shared<World>();
    Pair pair;
    pair.name = "barrier: two arrive";
    pair.order = order;
    pair.set_up = [world] { world->barrier.emplace(2); };
    pair.prepare_a = [world] { static_cast<void>(world->barrier->broken()); };
    pair.prepare_b = pair.prepare_a;
    pair.a = [world] { static_cast<void>(meet(*world)); };
    pair.b = [world] { return meet(*world); };
    pair.b_before_the_kill = true;
    pair.check = [world](PairRound& round) {
        std::uint64_t mine = 0;
        if (round.b_rests() == Place::asleep && !round.a_finished())
            mine = meet(*world);
        const std::uint64_t its = round.b_ends("B waits on at the barrier");
        require(!round.a_finished() || its == passed, "both were there, and the barrier broke");
        require(mine == 0 || mine == its, "one passed and one did not");
    };
    pair.state = [world] { return world->barrier->to_string(); };
    return pair;
}

/// One comes to wait while another stands anywhere in its arrival with the lock held, goes on,
/// leaves for another space, so that its death rings no bell here, and is killed. The test has
/// arrived too, and waits through the partner. \return at how many places it stood
inline int arrive_unseen_and_die_elsewhere() {
    Bare bare;
    std::optional<Lock> elsewhere;
    Path path;
    int places = 0;
    for (unsigned long k = 1;; ++k) {
        stay_on_one_core();
        elsewhere.reset(); // by its last user: those of the last round are gone
        elsewhere.emplace(Lock::create(unique_name("elsewhere")));
        bare.fresh();
        const std::uint32_t round =
            core::barrier_arrive(bare.view(), platform::Deadline::never()).round;
        Partner waiter([&] { return bare.wait(round, platform::Deadline::never()); });
        const auto go_elsewhere = [&] { const std::scoped_lock hold(*elsewhere); };
        Victim victim(
            [&] {
                go_elsewhere();
                static_cast<void>(core::barrier_broken(bare.view()));
                static_cast<void>(liveness::enter(bare.view().domain));
            },
            [&] {
                static_cast<void>(core::barrier_arrive(bare.view(), platform::Deadline::never()));
                go_elsewhere();
            });
        static_cast<void>(victim.go(k, path));
        if (victim.place() == Place::finished)
            return places;
        if (bare.view().cell.lock.word == liveness::nobody)
            continue;
        ++places;
        waiter.set_out();
        waiter.await_rest();
        require(victim.finish(), "an arrival hangs");
        victim.kill();
        require(waiter.await_done(), "a party waits for a dead one");
        require(waiter.result() == broken, "somebody passed a barrier at which not all were");
    }
}

} // namespace multifork::test::crash::barrier_scenarios
