#pragma once

#include "crash/harness/pair.hpp"
#include "crash/harness/scenario.hpp"

#include "liveness/registry.hpp"
#include "liveness/sleep.hpp"

#include <multifork/arena/object.hpp>
#include <multifork/arena/space.hpp>
#include <multifork/error.hpp>
#include <multifork/liveness/domain.hpp>
#include <multifork/sync/lock.hpp>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <thread>

// A thread dies while it takes or gives back its slot in the registry. The slot can be used again,
// no dead thread passes for alive, and waiters for what it held are told.

namespace multifork::test::crash {

inline liveness::Domain& arena_domain() {
    return arena::tree_space().domain();
}

/// No beacon names a thread that the kernel does not know: alive it would be waited for, half
/// claimed it would never be used again.
inline void expect_no_dead_thread_in_a_slot() {
    const liveness::Registry& registry = arena_domain().registry();
    for (std::uint32_t slot = 0; slot < registry.high_water; ++slot) {
        const std::uint32_t word = registry.beacons()[slot].node.word;
        const auto thread = static_cast<pid_t>(word & platform::futex_tid_mask);
        require(thread == 0 || ::kill(thread, 0) == 0 || errno != ESRCH,
                "the beacon in slot " + std::to_string(slot) + " still names a dead thread");
    }
}

struct ThreadWorld {
    std::optional<Lock> lock;
    std::uint32_t high_water = 0;
};

/// lock() that finds a dead owner reports that and leaves it at that.
inline constexpr std::uint64_t told_of_death = 2;
inline std::uint64_t lock_or_be_told(Lock& lock) {
    try {
        lock.lock();
        lock.unlock();
        return 1;
    } catch (const OwnerDied&) {
        return told_of_death;
    }
}

inline Scenario thread_scenario(const std::shared_ptr<ThreadWorld>& world, const char* name) {
    Scenario scenario;
    scenario.name = name;
    scenario.set_up = [world] {
        world->lock.emplace();
        if (world->high_water == 0)
            world->high_water = arena_domain().registry().high_water;
    };
    scenario.check = [world](Round& round) {
        round.expect_all_done("a waiter was not told that the thread is gone");
        expect_no_dead_thread_in_a_slot();
        // Slots are used again: there are never more than the processes of one round.
        require(arena_domain().registry().high_water <= world->high_water + 8,
                "slots of dead threads are not used again");
    };
    scenario.state = [world] { return world->lock->to_string(); };
    return scenario;
}

inline Scenario attach_alone() {
    Scenario scenario = thread_scenario(std::make_shared<ThreadWorld>(), "attach");
    scenario.operation = [] { static_cast<void>(liveness::attach(arena_domain())); };
    return scenario;
}

inline Scenario attach_and_lock() {
    const auto world = std::make_shared<ThreadWorld>();
    Scenario scenario = thread_scenario(world, "attach and lock, two arrive");
    scenario.operation = [world] { world->lock->lock(); };
    scenario.late = {[world] { return lock_or_be_told(*world->lock); },
                     [world] { return lock_or_be_told(*world->lock); }};
    return scenario;
}

/// The lock's owner leaves, or dies in leaving; either way all three learn that it has no owner.
inline Scenario detach_with_waiters() {
    const auto world = std::make_shared<ThreadWorld>();
    Scenario scenario = thread_scenario(world, "detach holding a lock, three asleep");
    const Job waiter = [world] { return lock_or_be_told(*world->lock); };
    scenario.prepare = [world] { world->lock->lock(); };
    scenario.operation = [] { liveness::detach_this_thread(); };
    scenario.early = {waiter, waiter, waiter};
    return scenario;
}

inline Scenario attach_again() {
    Scenario scenario = thread_scenario(std::make_shared<ThreadWorld>(), "detach and attach again");
    scenario.prepare = [] { static_cast<void>(liveness::attach(arena_domain())); };
    scenario.operation = [] {
        liveness::detach_this_thread();
        static_cast<void>(liveness::attach(arena_domain()));
    };
    return scenario;
}

/// The owner leaves and comes back into the same slot, with the same thread id, while B is on its
/// way to sleep: B waits for the old name, which is dead, and must not take the new one for it.
inline Pair wait_for_who_comes_back() {
    const auto world = std::make_shared<ThreadWorld>();
    Pair pair;
    pair.name = "detach holding a lock and attach again, B locks";
    pair.order = Pair::Order::b_first;
    pair.set_up = [world] { world->lock.emplace(); };
    pair.prepare_a = [world] { world->lock->lock(); };
    pair.prepare_b = [] { static_cast<void>(liveness::attach(arena_domain())); };
    pair.a = [] {
        liveness::detach(arena_domain());
        static_cast<void>(liveness::attach(arena_domain()));
    };
    pair.b = [world] { return lock_or_be_told(*world->lock); };
    pair.b_before_the_kill = true;
    pair.check = [](PairRound& round) {
        require(round.b_ends("B waits for a name that is dead") == told_of_death,
                "B got a lock that it should be told about");
    };
    pair.state = [world] { return world->lock->to_string(); };
    return pair;
}

/// Another thread comes into the victim's slot as soon as that is free, and stays.
class Successor {
public:
    explicit Successor(std::uint32_t slot) {
        arena_domain().registry().hint = slot;
        thread_ = std::thread([this] {
            static_cast<void>(liveness::attach(arena_domain()));
            there_ = true;
            there_.notify_one();
            leave_.wait(false);
        });
        there_.wait(false);
    }
    ~Successor() {
        leave_ = true;
        leave_.notify_one();
        thread_.join();
    }
    Successor(const Successor&) = delete;
    Successor& operator=(const Successor&) = delete;

private:
    std::atomic<bool> there_{false};
    std::atomic<bool> leave_{false};
    std::thread thread_;
};

/// The victim gives its slot back, and is killed when another thread has that already: the kernel
/// finds the other's word in the slot.
/// \param names_beacon  one sleeps on the victim's beacon; or it has slept since before the victim
/// held what it waits for, and so without the beacon
inline Scenario detach_to_a_successor(bool names_beacon) {
    struct World {
        arena::Object object; // the victim's name, and a word to sleep on
        std::optional<Successor> successor;
        [[nodiscard]] std::atomic<liveness::ThreadWord>* words() const {
            return reinterpret_cast<std::atomic<liveness::ThreadWord>*>(object.data());
        }
    };
    const auto world = std::make_shared<World>();
    const Job sleeper = [world, names_beacon] {
        const liveness::ThreadWord victim = world->words()[0];
        for (bool names = names_beacon; liveness::is_alive(arena_domain(), victim); names = true) {
            liveness::Sleep sleep(arena_domain());
            sleep.while_equal(world->words()[1], 0);
            if (names && !sleep.while_alive(victim))
                break;
            static_cast<void>(sleep.wait(platform::Deadline::never()));
        }
        return std::uint64_t{1};
    };
    Scenario scenario;
    scenario.name = names_beacon ? "detach, another takes the slot, one asleep on the beacon"
                                 : "detach, another takes the slot, one asleep elsewhere";
    scenario.set_up = [world] {
        world->successor.reset();
        world->object = arena::Object::make(2 * sizeof(liveness::ThreadWord), arena::Kind::value,
                                            [](std::byte*) {});
    };
    scenario.prepare = [world] {
        const liveness::ThreadWord me = liveness::attach(arena_domain());
        world->words()[0] = me;
        liveness::count_holding(arena_domain(), me, +1);
    };
    scenario.operation = [] { liveness::detach(arena_domain()); };
    scenario.early = {sleeper};
    scenario.at_kill = [world] {
        world->successor.emplace(liveness::slot_of(world->words()[0].load()));
    };
    scenario.check = [](Round& round) {
        round.expect_all_done("who waits for a thread sleeps on, and the thread is gone");
    };
    return scenario;
}

} // namespace multifork::test::crash
