#pragma once

#include "crash/pipe.hpp"

#include <multifork/channel/waitable.hpp>

#include <array>

#include <fcntl.h>
#include <unistd.h>

// A process dies in wait() over several things, or another does what it waits for and dies.

namespace multifork::test::crash::wait_scenarios {

struct World {
    std::optional<Queue<int>> queue;
    PipeWorld<Plain> pipe;
    void fresh() {
        queue.emplace(4u);
        pipe.fresh(0);
    }
    std::vector<std::size_t> wait() { return multifork::wait({*queue, *pipe.reader}); }
};
using Shared = std::shared_ptr<World>;

inline Scenario at_both(const Shared& world, const char* name) {
    Scenario scenario;
    scenario.name = std::string("wait: ") + name;
    scenario.set_up = [world] { world->fresh(); };
    scenario.prepare = [world] { world->pipe.warm_up(); };
    scenario.state = [world] { return world->queue->to_string() + world->pipe.state(); };
    return scenario;
}

inline Job waiter(const Shared& world) {
    return [world] {
        world->pipe.writer->close();
        const auto ready = world->wait();
        return static_cast<std::uint64_t>(ready.empty() ? 99 : ready.front());
    };
}

/// The victim puts into the queue; the other one waits for the queue and for a pipe.
inline Scenario put_with_a_waiter_asleep() {
    const auto world = std::make_shared<World>();
    Scenario scenario = at_both(world, "put, one waits for two things");
    scenario.operation = [world] { world->queue->put(1); };
    scenario.early = {waiter(world)};
    scenario.nothing_owed_at_the_end = true;
    scenario.check = [world](Round& round) {
        if (world->queue->empty())
            world->queue->put(2);
        require(round.result_of(0, "an item is there, and who waits for it sleeps on") == 0,
                "wait() says that something else is ready");
    };
    return scenario;
}

/// The same, and the other one waits for a descriptor besides, or for the queue's own.
inline Scenario put_with_a_descriptor_watched() {
    Scenario scenario = put_with_a_waiter_asleep();
    const auto world = std::make_shared<World>();
    scenario.name = "wait: put, one waits for a descriptor too";
    scenario.set_up = [world] { world->fresh(); };
    scenario.prepare = [world] { world->pipe.warm_up(); };
    scenario.operation = [world] { world->queue->put(1); };
    scenario.early = {[world] {
        std::array<int, 2> ends{};
        require(::pipe2(ends.data(), O_CLOEXEC) == 0, "no pipe");
        return static_cast<std::uint64_t>(multifork::wait({*world->queue, ends[0]}).front());
    }};
    scenario.check = [world](Round& round) {
        if (world->queue->empty())
            world->queue->put(2);
        require(round.result_of(0, "an item is there, and its descriptor does not show it") == 0,
                "wait() says that something else is ready");
    };
    scenario.state = [world] { return world->queue->to_string(); };
    return scenario;
}

/// The victim is the last one that can send.
inline Scenario last_writer_with_a_waiter_asleep() {
    const auto world = std::make_shared<World>();
    Scenario scenario = at_both(world, "the last writer dies in send, one waits for two things");
    scenario.operation = [world] { world->pipe.writer->send(Plain::make(from_victim)); };
    scenario.all_forked = [world] { world->pipe.writer->close(); };
    scenario.early = {waiter(world)};
    scenario.check = [world](Round& round) {
        require(round.result_of(0, "the stream has ended, and who waits for it sleeps on") == 1,
                "wait() says that something else is ready");
    };
    return scenario;
}

/// The victim waits for two things, is woken for one, and dies; a consumer sleeps behind it.
inline Scenario wait_woken() {
    const auto world = std::make_shared<World>();
    Scenario scenario = at_both(world, "wait, woken, a consumer asleep behind");
    scenario.operation = [world] { static_cast<void>(world->wait()); };
    scenario.behind = {[world] { return static_cast<std::uint64_t>(world->queue->get()); }};
    scenario.wake = [world] { world->queue->put(7); };
    scenario.nothing_owed_at_the_end = true;
    scenario.check = [](Round& round) {
        require(round.result_of(0, "who waits keeps the wake-up of a consumer") == 7,
                "a wrong item");
    };
    return scenario;
}

} // namespace multifork::test::crash::wait_scenarios
