#pragma once

#include "crash/harness/scenario.hpp"

#include <multifork/arena/object.hpp>
#include <multifork/core/task_table.hpp>

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// A worker dies in taking a task, in running it, in saying that it is done. The parent, which is
// the test, then finds the task queued, or taken by the dead worker, or done; all others are as
// they were, and whoever sleeps is woken if there is something for him.

namespace multifork::test::crash::task_scenarios {

inline constexpr std::uint32_t victims_seat = 0;
inline constexpr std::uint32_t partners_seat = 1;
inline constexpr std::uint64_t nothing = 999; // what a worker got that was told to stop

class World {
public:
    /// A new table with the tasks 1 to `tasks` queued.
    void fresh(std::uint64_t tasks) {
        shape_ = {2, 8};
        object_ = arena::Object::make(shape_.bytes(), arena::Kind::tasks, [](std::byte*) {});
        queued_ = 0;
        for (std::uint64_t n = 1; n <= tasks; ++n)
            put(n);
    }
    [[nodiscard]] core::TaskTable table() const {
        core::TaskTable table;
        table.header = reinterpret_cast<core::TaskHeader*>(object_.data());
        table.shape = shape_;
        table.domain = &object_.space().domain();
        return table;
    }

    /// Task n lies in slot n - 1.
    void put(std::uint64_t n) {
        const auto slot = static_cast<std::uint32_t>(n - 1);
        table().slot(slot).bytes = n;
        table().slot(slot).result_bytes = 0;
        require(core::task_put(table(), slot), "there is no room for a task");
        core::task_wake(table(), 1);
        queued_ = n;
    }

    /// The tasks 1 and 2, of which the waker knows one only.
    void put_two() {
        for (std::uint32_t slot = 0; slot < 2; ++slot) {
            table().slot(slot).bytes = slot + 1;
            table().slot(slot).result_bytes = 0;
            require(core::task_put(table(), slot), "there is no room for a task");
        }
        core::task_wake(table(), 1);
        queued_ = 2;
    }

    /// Takes a task and does it. \return its number
    std::uint64_t work(std::uint32_t seat) const {
        core::seat_take(table(), seat);
        const auto slot = core::task_take(table(), seat);
        if (!slot)
            return nothing;
        core::TaskSlot& task = table().slot(*slot);
        task.result_bytes = task.bytes * 3;
        std::memcpy(task.result.data(), &task.bytes, sizeof task.bytes);
        core::task_done(table(), seat, *slot);
        return task.bytes;
    }

    /// What the parent does when it has reaped a worker.
    void bury_the_victim() const { core::task_wake_all(table()); }

    [[nodiscard]] core::TaskState state_of(std::uint64_t n) const {
        return core::TaskState::of(table().slot(static_cast<std::uint32_t>(n - 1)).state.load());
    }

    /// Takes what is queued, as another worker does, and then each task must be done once, whole,
    /// but for one that the victim has taken with it.
    void expect_all_accounted_for(const Round& round) {
        core::task_stop(table());
        while (work(partners_seat) != nothing) {
        }
        std::uint64_t lost = 0;
        std::vector<int> in_rings(queued_ + 1, 0);
        for (const std::uint32_t seat : {victims_seat, partners_seat}) {
            const std::uint32_t entries = table().seat(seat).done_tail.load();
            require(entries <= queued_, "a ring says more tasks done than there were");
            for (std::uint32_t i = 0; i < entries; ++i)
                ++in_rings.at(table().done(seat, i).load() + 1);
        }
        for (std::uint64_t n = 1; n <= queued_; ++n) {
            const core::TaskState state = state_of(n);
            const core::TaskSlot& slot = table().slot(static_cast<std::uint32_t>(n - 1));
            if (state.tag == core::TaskTag::taken) {
                require(state.seat == victims_seat,
                        "a living worker holds a task that it has done");
                require(!round.finished(), "what task_done() has returned for is not done");
                require(in_rings.at(n) == 0, "a ring says that a task is done that is not");
                ++lost;
                continue;
            }
            require(state.tag == core::TaskTag::done, "task " + std::to_string(n) +
                                                          " is queued, "
                                                          "and nobody can take it");
            std::uint64_t said = 0;
            std::memcpy(&said, slot.result.data(), sizeof said);
            require(slot.result_bytes == n * 3 && said == n, "a result is torn");
            require(in_rings.at(n) == 1 || (in_rings.at(n) == 0 && state.seat == victims_seat),
                    "a task is done that no ring speaks of, or two");
        }
        require(lost <= 1, "more than one task died with the victim");
        expect_it_works();
    }

    void expect_it_works() { fresh_header_like_before(); }

private:
    /// The slots are free again, and two rounds through all of them work.
    void fresh_header_like_before() {
        table().header->stop.store(0);
        for (std::uint32_t seat : {victims_seat, partners_seat})
            core::seat_clear(table(), seat);
        for (std::uint32_t slot = 0; slot < shape_.slots; ++slot)
            table().slot(slot).state.store(0);
        for (int round = 0; round < 2; ++round)
            for (std::uint64_t n = 1; n <= shape_.slots; ++n) {
                put(n);
                require(work(partners_seat) == n, "the table is damaged");
                table().slot(static_cast<std::uint32_t>(n - 1)).state.store(0);
            }
    }

    core::TaskShape shape_;
    arena::Object object_;
    std::uint64_t queued_ = 0;
};

inline Scenario working(const std::shared_ptr<World>& world, const char* name,
                        std::uint64_t tasks) {
    Scenario scenario;
    scenario.name = name;
    scenario.set_up = [world, tasks] { world->fresh(tasks); };
    scenario.prepare = [world] { core::seat_take(world->table(), victims_seat); };
    scenario.operation = [world] { static_cast<void>(world->work(victims_seat)); };
    return scenario;
}

inline Scenario alone() {
    const auto world = std::make_shared<World>();
    Scenario scenario = working(world, "a task, alone", 3);
    scenario.check = [world](Round& round) {
        world->bury_the_victim();
        world->expect_all_accounted_for(round);
    };
    return scenario;
}

/// The victim sleeps first in line, another worker behind it; two tasks come.
inline Scenario woken() {
    const auto world = std::make_shared<World>();
    Scenario scenario = working(world, "a task, woken for it, one asleep behind", 0);
    scenario.behind = {[world] { return world->work(partners_seat); }};
    scenario.wake = [world] { world->put(1); };
    scenario.check = [world](Round& round) {
        world->bury_the_victim();
        if (world->state_of(1).tag != core::TaskTag::queued &&
            world->state_of(1).seat == victims_seat)
            world->put(2); // the victim has taken the first
        static_cast<void>(round.result_of(0, "a task is queued, and nobody was woken for it"));
        world->expect_all_accounted_for(round);
    };
    return scenario;
}

/// The same, with two tasks there, and nobody dies: who was woken for the first wakes another for
/// the second.
inline Scenario woken_for_two() {
    const auto world = std::make_shared<World>();
    Scenario scenario = working(world, "a task, woken for it, another there, one asleep", 0);
    scenario.behind = {[world] { return world->work(partners_seat); }};
    scenario.wake = [world] { world->put_two(); };
    scenario.nothing_owed_at_the_end = true;
    scenario.check = [world](Round& round) {
        if (!round.finished())
            world->bury_the_victim();
        static_cast<void>(round.result_of(0, "a task is queued, and nobody was woken for it"));
        if (!round.finished())
            world->expect_all_accounted_for(round);
    };
    return scenario;
}

inline Scenario going_to_sleep() {
    const auto world = std::make_shared<World>();
    Scenario scenario = working(world, "no task, going to sleep, another arrives", 0);
    scenario.late = {[world] { return world->work(partners_seat); }};
    scenario.check = [world](Round& round) {
        world->put(1);
        require(round.result_of(0, "a task was put, and the sleeper was not woken for it") == 1,
                "the wrong task");
        world->expect_all_accounted_for(round);
    };
    return scenario;
}

/// Somebody in the parent's place sleeps until there is news: the task is done, or its worker dead.
inline Scenario listened_to() {
    const auto world = std::make_shared<World>();
    Scenario scenario = working(world, "a task, the parent asleep", 1);
    scenario.late = {[world] {
        const core::TaskTable table = world->table();
        const liveness::ThreadWord victim = table.seat(victims_seat).name.load();
        bool news = false;
        while (!news)
            core::task_listen(table, platform::Deadline::never(), [&] {
                news = table.seat(victims_seat).done_tail.load() == 1 ||
                       !liveness::is_alive(*table.domain, victim);
                return news;
            });
        return std::uint64_t{1};
    }};
    scenario.check = [world](Round& round) {
        static_cast<void>(round.result_of(0, "the parent sleeps on beside a dead worker"));
        world->bury_the_victim();
        world->expect_all_accounted_for(round);
    };
    return scenario;
}

} // namespace multifork::test::crash::task_scenarios
