#pragma once

#include "arena/handover.hpp"
#include "arena/space_impl.hpp"
#include "crash/objects.hpp"
#include "process/order.hpp"

#include <multifork/channel/pipe.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

// A process dies while it writes an order for a child, or while it takes the parcel with its order
// and the handles in it: the objects are there as long as somebody has them, and no longer.

namespace multifork::test::crash::crossing_scenarios {

using Text = std::string;

/// Three kinds of handles, and their ways: a hold, a hold, and an entry in the pipe's ledger.
struct World {
    arena::SpaceUsage before;
    std::optional<Queue<Text>> queue;
    std::optional<Lock> lock;
    std::optional<std::pair<Connection<Text>, Connection<Text>>> pipe;
    // The victim's:
    std::uint64_t parcel = 0;
    std::uint64_t bytes = 0;
};

inline void use(Queue<Text>, Lock, Connection<Text>) {}
using Target = detail::Call<decltype(&use), Queue<Text>, Lock, Connection<Text>>;

inline Scenario crossing_scenario(const std::shared_ptr<World>& world, const char* name) {
    Scenario scenario;
    scenario.name = name;
    scenario.set_up = [world] {
        world->before = arena::arena_usage();
        world->queue.emplace(2);
        world->queue->put("first");
        world->lock.emplace();
        world->pipe.emplace(Pipe<Text>(false));
    };
    scenario.check = [world](Round&) {
        // All three are as they were.
        require(world->queue->try_get() == "first", "the queue has lost an element");
        require(world->lock->try_lock(), "the lock is taken");
        world->lock->unlock();
        world->pipe->second.send("last");
        require(world->pipe->first.try_recv() == "last", "the pipe has lost a message");
        // The end on its way went with the dead.
        world->pipe->second.close();
        require(world->pipe->first.ended(), "a pipe's end that was on its way is held for ever");
        world->queue.reset();
        world->lock.reset();
        world->pipe.reset();
        // Holds that lie below their message are freed by the second.
        arena::tree_space().sweep();
        arena::tree_space().sweep();
        const auto now = arena::arena_usage();
        require(now.blocks_used == world->before.blocks_used &&
                    now.bytes_used == world->before.bytes_used,
                "blocks leak: " + std::to_string(world->before.blocks_used) +
                    " were used before, now " + std::to_string(now.blocks_used));
        expect_heap_in_order();
    };
    return scenario;
}

/// What start() does before there is a child: its record, the order, its holds.
inline Scenario write_an_order() {
    const auto world = std::make_shared<World>();
    Scenario scenario = crossing_scenario(world, "write an order for a child");
    scenario.prepare = [] { const Lock attaches; };
    scenario.operation = [world] {
        const Target target(std::in_place, &use, *world->queue, *world->lock, world->pipe->second);
        detail::Order order;
        order.name = "never";
        const arena::ProcessId child = arena::begin_child(order.name, false);
        // It ends with the victim: one without a pid has ten seconds to come to be.
        arena::born_as(child, static_cast<std::uint32_t>(::getpid()));
        static_cast<void>(detail::write_order(std::move(order), {}, target, child));
        arena::end_child(child);
    };
    return scenario;
}

/// What a child does with its order.
inline Scenario take_a_parcel() {
    const auto world = std::make_shared<World>();
    Scenario scenario = crossing_scenario(world, "take a parcel and what is in it");
    scenario.prepare = [world] {
        const Lock attaches;
        const arena::ProcessId self = arena::tree_space().impl().self();
        std::vector<std::byte> bytes;
        ByteWriter writer(bytes);
        const arena::Cargo cargo;
        const arena::BoundFor bound(self);
        detail::Travellers travellers;
        detail::pack(writer, *world->queue);
        detail::pack(writer, *world->lock);
        detail::pack(writer, world->pipe->second);
        world->parcel = arena::give_parcel(bytes, cargo, self);
        world->bytes = bytes.size();
        travellers.arrived();
    };
    scenario.operation = [world] {
        auto parcel = std::make_unique<arena::Parcel>(world->parcel, world->bytes);
        ByteReader reader(parcel->bytes());
        const auto queue = detail::Cross<Queue<Text>>::read(reader);
        const auto lock = detail::Cross<Lock>::read(reader);
        const auto end = detail::Cross<Connection<Text>>::read(reader);
        parcel.reset();
    };
    return scenario;
}

} // namespace multifork::test::crash::crossing_scenarios
