#pragma once

#include "crash/harness/pair.hpp"

#include <multifork/arena/space.hpp>
#include <multifork/liveness/domain.hpp>

#include <cstring>
#include <memory>

// A thread hands a block to a queue, which takes no lock, and dies, while another process sweeps.

namespace multifork::test::crash {

/// B stands anywhere in a sweep. It may have seen that the block is A's; then it must see, when A
/// is dead, that it is A's no more.
inline Pair sweep_while_a_queue_gets_a_block() {
    struct World {
        std::uint64_t ring = 0; // a block that stands for a queue's; its bytes say where A's lies
        std::size_t blocks_before = 0;
        [[nodiscard]] std::uint64_t& place() const {
            return *reinterpret_cast<std::uint64_t*>(arena::tree_space().at(ring));
        }
    };
    constexpr std::uint64_t position = 3;
    const auto world = std::make_shared<World>();
    Pair pair;
    pair.name = "give a block to a queue, B sweeps";
    pair.order = Pair::Order::b_first;
    pair.set_up = [world] {
        arena::Space& space = arena::tree_space();
        if (world->ring == 0) {
            world->ring = space.allocate(sizeof(std::uint64_t), arena::Kind::lock);
            space.give_to_process(world->ring);
        }
        world->blocks_before = space.usage().blocks_used;
    };
    pair.prepare_a = [world] {
        world->place() = arena::tree_space().allocate(200, arena::Kind::bytes);
    };
    pair.a = [world] { arena::tree_space().give_to_ring(world->place(), world->ring, position); };
    pair.prepare_b = [] { static_cast<void>(liveness::attach(arena::tree_space().domain())); };
    pair.b = [] {
        arena::tree_space().sweep();
        return std::uint64_t{1};
    };
    pair.check = [world](PairRound& round) {
        arena::Space& space = arena::tree_space();
        static_cast<void>(round.b_ends("the sweep hangs"));
        const bool given = space.take_from_ring(world->place(), world->ring, position);
        require(given || !round.a_finished(), "a sweep has freed what a queue had got");
        if (given)
            space.free(world->place());
        space.sweep();
        require(space.usage().blocks_used == world->blocks_before, "blocks leak or get lost");
    };
    return pair;
}

} // namespace multifork::test::crash
