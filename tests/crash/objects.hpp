#pragma once

#include "crash/queue_world.hpp"
#include "support/small_space.hpp"

#include <multifork/channel/value.hpp>
#include <multifork/sync/lock.hpp>

#include <array>
#include <cstddef>
#include <cstring>
#include <optional>
#include <vector>

// A process dies while it makes or drops objects. What it had goes back to the arena, and the
// arena's heap is in order: nothing leaks, and no block is handed out twice.

namespace multifork::test::crash {

/// Takes many blocks, writes into all of them, and looks whether each still holds its own.
inline void expect_heap_in_order() {
    constexpr std::array<std::size_t, 7> sizes{1, 100, 128, 300, 700, 4000, 5000};
    arena::Space& space = arena::tree_space();
    struct Taken {
        std::uint64_t offset;
        std::size_t bytes;
        std::byte mark;
    };
    std::vector<Taken> taken;
    for (std::size_t i = 0; i < 28; ++i) {
        const std::size_t bytes = sizes[i % sizes.size()];
        const Taken block{space.allocate(bytes, arena::Kind::lock), bytes,
                          static_cast<std::byte>(i + 1)};
        for (std::size_t b = 0; b < bytes; ++b)
            require(space.at(block.offset)[b] == std::byte{0}, "a new block is not zeroed");
        std::memset(space.at(block.offset), static_cast<int>(i + 1), bytes);
        taken.push_back(block);
    }
    for (const Taken& block : taken) {
        for (std::size_t b = 0; b < block.bytes; ++b)
            require(space.at(block.offset)[b] == block.mark, "a block was handed out twice");
        space.free(block.offset);
    }
}

struct HeapWorld {
    arena::SpaceUsage before;
    std::optional<Queue<std::string>> queue; // the victim's
};

inline Scenario heap_scenario(const std::shared_ptr<HeapWorld>& world, const char* name) {
    Scenario scenario;
    scenario.name = name;
    scenario.set_up = [world] { world->before = arena::arena_usage(); };
    scenario.prepare = [] { const Lock attaches; };
    scenario.check = [world](Round&) {
        const auto expect_all_back = [&](const char* when) {
            arena::tree_space().sweep();
            const auto now = arena::arena_usage();
            require(now.blocks_used == world->before.blocks_used &&
                        now.bytes_used == world->before.bytes_used,
                    std::string("blocks leak ") + when + ": " +
                        std::to_string(world->before.blocks_used) + " were used before, now " +
                        std::to_string(now.blocks_used));
        };
        expect_all_back("by a death");
        expect_heap_in_order();
        expect_all_back("afterwards");
    };
    return scenario;
}

inline Scenario make_and_drop_a_lock() {
    Scenario scenario = heap_scenario(std::make_shared<HeapWorld>(), "make and drop a Lock");
    scenario.operation = [] { const Lock made; };
    return scenario;
}

/// No free block fits, so that the heap grows by a new one.
inline Scenario carve_a_block() {
    constexpr std::size_t bytes = 200;
    const auto world = std::make_shared<HeapWorld>();
    Scenario scenario = heap_scenario(world, "allocate a block of new memory");
    scenario.set_up = [world] {
        arena::Space& space = arena::tree_space();
        const std::uint64_t carved = space.usage().bytes_carved;
        while (space.usage().bytes_carved == carved)
            static_cast<void>(space.allocate(bytes, arena::Kind::bytes)); // the test keeps them
        world->before = arena::arena_usage();
    };
    scenario.operation = [] {
        static_cast<void>(arena::tree_space().allocate(bytes, arena::Kind::bytes));
    };
    return scenario;
}

/// A space that is full of small blocks, most of them free again.
struct FullWorld {
    SmallSpace small{4 << 10, 16, 4};
    std::vector<std::uint64_t> kept;

    FullWorld() {
        std::vector<std::uint64_t> dropped;
        try {
            for (std::size_t i = 0;; ++i)
                (i % 7 == 6 ? kept : dropped)
                    .push_back(small.space().allocate(bytes, arena::Kind::bytes));
        } catch (const OutOfSharedMemory&) {
        }
        for (const std::uint64_t block : kept)
            std::memset(small.space().at(block), 0x5A, bytes);
        for (const std::uint64_t block : dropped)
            small.space().free(block);
    }
    static constexpr std::size_t bytes = 100;
};

/// Nothing free is large enough, so that free neighbours are joined.
inline Scenario join_free_blocks() {
    const auto world = std::make_shared<std::optional<FullWorld>>();
    Scenario scenario;
    scenario.name = "allocate a block of joined ones";
    scenario.set_up = [world] { world->emplace(); };
    scenario.prepare = [world] {
        (*world)->small.space().free((*world)->small.space().allocate(1, arena::Kind::bytes));
    };
    scenario.operation = [world] {
        static_cast<void>((*world)->small.space().allocate(700, arena::Kind::bytes));
    };
    scenario.check = [world](Round&) {
        arena::Space& space = (*world)->small.space();
        space.sweep();
        require(space.usage().blocks_used == (*world)->kept.size(), "blocks leak or get lost");
        std::vector<std::uint64_t> taken;
        for (std::size_t i = 0; i < 3; ++i) { // larger than any that there were
            taken.push_back(space.allocate(700, arena::Kind::lock));
            for (std::size_t b = 0; b < 700; ++b)
                require(space.at(taken.back())[b] == std::byte{0}, "a new block is not zeroed");
            std::memset(space.at(taken.back()), 0x33, 700);
        }
        for (const std::uint64_t block : (*world)->kept)
            for (std::size_t b = 0; b < FullWorld::bytes; ++b)
                require(space.at(block)[b] == std::byte{0x5A}, "a block was handed out twice");
        for (const std::uint64_t block : taken)
            space.free(block);
    };
    return scenario;
}

inline Scenario make_and_drop_a_value() {
    Scenario scenario = heap_scenario(std::make_shared<HeapWorld>(), "make and drop two Values");
    scenario.operation = [] {
        const Value<int> one{1};
        const Value<std::array<int, 100>> two;
    };
    return scenario;
}

inline Scenario make_and_drop_a_queue() {
    Scenario scenario = heap_scenario(std::make_shared<HeapWorld>(), "make and drop a Queue");
    scenario.operation = [] { const Queue<int> made{4}; };
    return scenario;
}

inline Scenario drop_a_queue_with_messages() {
    const auto world = std::make_shared<HeapWorld>();
    Scenario scenario = heap_scenario(world, "drop a Queue with large messages");
    scenario.prepare = [world] {
        world->queue.emplace(3);
        world->queue->put(Long::make(1));
        world->queue->put(Long::make(2));
    };
    scenario.operation = [world] { world->queue.reset(); };
    return scenario;
}

} // namespace multifork::test::crash
