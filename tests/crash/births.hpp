#pragma once

#include "crash/objects.hpp"
#include "crash/orphans.hpp"

#include <multifork/channel/value.hpp>

#include <atomic>
#include <memory>
#include <new>
#include <optional>
#include <vector>

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

// A process forks, and meanwhile makes an object and drops it again: the object is made after the
// child's birth has begun, is the child's too by the fork, and is dropped before the birth has
// ended. Only the open birth says that somebody else has it. Another thread of the process does
// such things at any moment; here a handler of the fork itself does, always in between.

namespace multifork::test::crash::births {

enum class Verdict : int { none, lost, kept };

struct World {
    std::atomic<bool> dropped;
    std::atomic<Verdict> verdict; ///< of the child
};

/// What the handlers make and drop, while `wanted`.
struct DuringFork {
    World* wanted = nullptr;
    std::optional<Value<int>> made;
};
inline DuringFork during_fork;
inline constexpr int content = 42;

/// Called before the arena's own handlers are registered (priority 200): of those, the first is
/// the last to run before a fork, and the first to run after it.
inline void register_handlers() {
    ::pthread_atfork(
        [] {
            if (during_fork.wanted != nullptr)
                during_fork.made.emplace(content);
        },
        [] {
            if (during_fork.wanted == nullptr)
                return;
            during_fork.made.reset();
            during_fork.wanted->dropped = true;
        },
        nullptr);
}

/// The child, when its parent has dropped the object or is dead: takes all blocks that the object
/// could have been put back among.
inline void look_at_what_was_inherited(World& world, pid_t parent) {
    const bool settled = await([&] { return world.dropped || ::getppid() != parent; });
    arena::tree_space().sweep();
    std::vector<Value<int>> others;
    for (int i = 0; i < 16; ++i)
        others.emplace_back(-1);
    world.verdict = settled && during_fork.made->load() == content ? Verdict::kept : Verdict::lost;
}

inline std::shared_ptr<World> shared_world() {
    void* const page =
        ::mmap(nullptr, sizeof(World), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        throw std::bad_alloc();
    return {new (page) World, [](World* world) { ::munmap(world, sizeof(World)); }};
}

inline Scenario fork_that_makes_and_drops() {
    const std::shared_ptr<World> world = shared_world();
    Scenario scenario;
    scenario.name = "fork, and make and drop a Value meanwhile";
    scenario.set_up = [world] {
        adopt_orphans();
        world->dropped = false;
        world->verdict = Verdict::none;
    };
    scenario.prepare = [] { const Lock attaches; };
    scenario.operation = [world] {
        const pid_t parent = ::getpid();
        during_fork.wanted = world.get();
        if (::fork() == 0) {
            look_at_what_was_inherited(*world, parent);
            ::_exit(0);
        }
        during_fork.wanted = nullptr;
    };
    scenario.check = [world](Round& round) {
        require(reap_orphans(), "an orphan lives on");
        require(world->verdict != Verdict::lost, "what the child had inherited was freed");
        // The child of one that went astray has its breakpoint too, and may have died of it.
        require(world->verdict == Verdict::kept || !round.finished() || round.strayed(),
                "the child is lost");
        expect_heap_in_order();
    };
    return scenario;
}

} // namespace multifork::test::crash::births
