#pragma once

#include "crash/harness/pair.hpp"
#include "crash/harness/scenario.hpp"

#include <multifork/error.hpp>
#include <multifork/sync/rwlock.hpp>

#include <memory>
#include <optional>

// A reader or a writer dies. The shares of dead readers come back, the death of one who wrote is
// told to all who come, that of one who waited is seen by nobody; and nobody hangs.

namespace multifork::test::crash::rwlock_scenarios {

struct World {
    std::optional<RWLock> lock;
};
using Shared = std::shared_ptr<World>;

enum : std::uint64_t { took_it = 1, owner_died = 2 };

/// Does `act`, and recovers as often as an owner has died. \return whether one had
inline std::uint64_t recovering(RWLock& lock, const Action& act) {
    for (std::uint64_t result = took_it;; result = owner_died) {
        try {
            act();
            return result;
        } catch (const OwnerDied&) {
            static_cast<void>(lock.recover());
        }
    }
}
inline std::uint64_t read(RWLock& lock) {
    return recovering(lock, [&] {
        lock.lock_shared();
        lock.unlock_shared();
    });
}
inline std::uint64_t write(RWLock& lock) {
    return recovering(lock, [&] {
        lock.lock();
        lock.unlock();
    });
}
inline Job reader(const Shared& world) {
    return [world] { return read(*world->lock); };
}
inline Job writer(const Shared& world) {
    return [world] { return write(*world->lock); };
}

inline Scenario using_it(const char* name, const Shared& world, Action operation) {
    Scenario scenario;
    scenario.name = name;
    scenario.set_up = [world] { world->lock.emplace(); };
    scenario.prepare = [world] {
        read(*world->lock);
        write(*world->lock);
    };
    scenario.operation = std::move(operation);
    scenario.check = [world](Round& round) {
        round.expect_all_done("a waiter was forgotten");
        require(await([&] {
                    try {
                        return world->lock->try_lock();
                    } catch (const OwnerDied&) {
                        return world->lock->recover() && world->lock->try_lock();
                    }
                }),
                "nobody can write any more");
        world->lock->unlock();
        require(world->lock->try_lock_shared(), "nobody can read any more");
        world->lock->unlock_shared();
        require(world->lock->to_string() == "<RWLock free>", "the lock is not free");
    };
    scenario.state = [world] { return world->lock->to_string(); };
    scenario.nothing_owed_at_the_end = true;
    return scenario;
}

inline Scenario reading() {
    const auto world = std::make_shared<World>();
    Scenario scenario = using_it("rwlock: read, a writer and a reader arrive", world, [world] {
        world->lock->lock_shared();
        world->lock->unlock_shared();
    });
    scenario.late = {writer(world), reader(world)};
    return scenario;
}

inline Scenario read_and_hold() {
    const auto world = std::make_shared<World>();
    Scenario scenario = using_it("rwlock: read and hold, two writers, a reader arrive", world,
                                 [world] { world->lock->lock_shared(); });
    scenario.nothing_owed_at_the_end = false;
    scenario.late = {writer(world), reader(world), writer(world)};
    scenario.check = [then = scenario.check](Round& round) {
        for (std::size_t i = 0; i < round.partner_count(); ++i)
            require(round.result_of(i, "a dead reader stays") == took_it,
                    "the death of a reader was told as that of a writer");
        then(round);
    };
    return scenario;
}

inline Scenario read_unlock_with_sleepers() {
    const auto world = std::make_shared<World>();
    Scenario scenario = using_it("rwlock: unlock_shared, writer and reader asleep", world,
                                 [world] { world->lock->unlock_shared(); });
    scenario.prepare = [world] { world->lock->lock_shared(); };
    scenario.early = {writer(world), reader(world)};
    return scenario;
}

inline Scenario writing() {
    const auto world = std::make_shared<World>();
    Scenario scenario = using_it("rwlock: write, a writer and a reader arrive", world, [world] {
        world->lock->lock();
        world->lock->unlock();
    });
    scenario.late = {writer(world), reader(world)};
    return scenario;
}

inline Scenario write_and_hold() {
    const auto world = std::make_shared<World>();
    Scenario scenario = using_it("rwlock: write and hold, a writer, two readers arrive", world,
                                 [world] { world->lock->lock(); });
    scenario.nothing_owed_at_the_end = false;
    scenario.late = {reader(world), writer(world), reader(world)};
    return scenario;
}

inline Scenario write_unlock_with_sleepers() {
    const auto world = std::make_shared<World>();
    Scenario scenario = using_it("rwlock: unlock, a writer, two readers asleep", world,
                                 [world] { world->lock->unlock(); });
    scenario.prepare = [world] { world->lock->lock(); };
    // The writer comes last: the kernel wakes one sleeper for the bell, and one for the beacon, and
    // if he were among these two, he would wake the others.
    scenario.early = {reader(world), reader(world), writer(world)};
    return scenario;
}

/// The test reads; the victim waits for it to go, and others behind the victim.
inline Scenario woken_writer() {
    const auto world = std::make_shared<World>();
    Scenario scenario = using_it("rwlock: woken writer, reader and writer behind", world, [world] {
        world->lock->lock();
        world->lock->unlock();
    });
    scenario.set_up = [world] {
        world->lock.emplace();
        world->lock->lock_shared();
    };
    scenario.prepare = [world] { static_cast<void>(world->lock->readers()); };
    scenario.wake = [world] { world->lock->unlock_shared(); };
    scenario.behind = {reader(world), writer(world)};
    return scenario;
}

inline Scenario woken_reader() {
    const auto world = std::make_shared<World>();
    Scenario scenario = using_it("rwlock: woken reader, reader and writer behind", world, [world] {
        world->lock->lock_shared();
        world->lock->unlock_shared();
    });
    scenario.set_up = [world] {
        world->lock.emplace();
        world->lock->lock();
    };
    scenario.prepare = [world] { static_cast<void>(world->lock->readers()); };
    scenario.wake = [world] { world->lock->unlock(); };
    scenario.behind = {reader(world), writer(world)};
    return scenario;
}

/// The test reads on. Who dies waiting for it has changed nothing, and readers come in again.
inline Scenario dies_waiting_for_readers() {
    const auto world = std::make_shared<World>();
    Scenario scenario = using_it("rwlock: writer dies waiting, reader and writer arrive", world,
                                 [world] { world->lock->lock(); });
    scenario.set_up = [world] {
        world->lock.emplace();
        world->lock->lock_shared();
    };
    scenario.prepare = [world] { static_cast<void>(world->lock->readers()); };
    scenario.late = {reader(world), writer(world)};
    scenario.check = [world, then = scenario.check](Round& round) {
        world->lock->unlock_shared();
        for (std::size_t i = 0; i < round.partner_count(); ++i)
            require(round.result_of(i, "a waiter was forgotten") == took_it,
                    "the death of one who waited was told");
        then(round);
    };
    return scenario;
}

inline Scenario recovering_it() {
    const auto world = std::make_shared<World>();
    Scenario scenario = using_it("rwlock: recover, reader and writer arrive", world,
                                 [world] { static_cast<void>(world->lock->recover()); });
    scenario.set_up = [world] {
        world->lock.emplace();
        do_and_die([world] { world->lock->lock(); });
    };
    scenario.prepare = [world] { static_cast<void>(world->lock->readers()); };
    scenario.late = {reader(world), writer(world)};
    return scenario;
}

using Use = std::uint64_t (*)(RWLock&);

inline Pair two(const char* name, Pair::Order order, Use a, Use b) {
    const auto world = std::make_shared<World>();
    Pair pair;
    pair.name = name;
    pair.order = order;
    pair.set_up = [world] { world->lock.emplace(); };
    pair.prepare_a = [world] {
        read(*world->lock);
        write(*world->lock);
    };
    pair.prepare_b = pair.prepare_a;
    pair.a = [world, a] { a(*world->lock); };
    pair.b = [world, b] { return b(*world->lock); };
    pair.b_before_the_kill = true;
    pair.check = [world](PairRound& round) {
        static_cast<void>(round.b_ends("B waits for ever"));
        require(read(*world->lock) != 0 && write(*world->lock) != 0, "the lock is stuck");
    };
    pair.state = [world] { return world->lock->to_string(); };
    return pair;
}

} // namespace multifork::test::crash::rwlock_scenarios
