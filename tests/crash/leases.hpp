#pragma once

#include "crash/harness/pair.hpp"
#include "crash/queue_world.hpp"

#include <multifork/channel/joinable_queue.hpp>

#include <csignal>
#include <map>

#include <sys/wait.h>
#include <unistd.h>

// A process dies in put(), get(), task_done() or give_back() of a JoinableQueue, while it takes
// over what a dead worker had, or in join(). An item that was put is delivered, whole, until
// somebody has said that it is done; tries() counts; whoever sleeps is woken.

namespace multifork::test::crash::lease_scenarios {

inline constexpr std::uint64_t joined = 900; // what a joiner's job gives
inline constexpr std::uint64_t tried = 64;   // a worker's job gives its item + 64 * tries

template <class Kind>
class World {
public:
    using Message = typename Kind::Type;
    static constexpr std::size_t capacity = 4;
    using Got = std::map<std::uint64_t, unsigned>; // item, tries

    std::optional<JoinableQueue<Message>> queue;
    std::optional<Lease<Message>> lease; // the victim's

    /// A new queue that holds 1 to `items`.
    void fresh(std::uint64_t items) {
        lease.reset();
        queue.emplace(capacity);
        if (!spare_)
            spare_.emplace(capacity);
        warm_up();
        arena::tree_space().sweep();
        before_ = arena::arena_usage();
        expected_.clear();
        for (std::uint64_t n = 1; n <= items; ++n)
            put(n);
    }
    /// For the victim, before the marker: its thread is attached and its buffer is there.
    void warm_up() {
        spare_->put(Kind::make(1));
        spare_->get().task_done();
    }
    void put(std::uint64_t n) {
        require(queue->try_put_for(Kind::make(n), limit()), "put() hangs: no room");
        expected_[n] = 1;
    }

    /// Leases the oldest item in another process, which then dies.
    void kill_a_worker_with_an_item() {
        const pid_t pid = ::fork();
        if (pid == 0) {
            const auto held = queue->get();
            ::kill(::getpid(), SIGKILL);
        }
        int status = 0;
        ::waitpid(pid, &status, 0);
    }

    /// Gets one item and does it.
    Job worker() {
        return [this] {
            try {
                auto task = queue->get();
                const std::uint64_t n = checked(*task) + tried * task.tries();
                task.task_done();
                return n;
            } catch (const QueueClosed&) {
                return was_closed;
            }
        };
    }
    Job producer(std::uint64_t n) {
        return [this, n] {
            queue->put(Kind::make(n));
            return n;
        };
    }
    Job joiner() {
        return [this] {
            queue->join();
            return joined;
        };
    }
    static void add(Got& got, std::uint64_t result) {
        if (result == was_closed || result == joined)
            return;
        require(got.emplace(result % tried, static_cast<unsigned>(result / tried)).second,
                "an item was done twice");
    }
    /// Does what is left, and sees that all is done.
    Got work_off(Got got = {}) {
        while (auto task = queue->try_get()) {
            add(got, checked(**task) + tried * task->tries());
            task->task_done();
            require(got.size() <= 50, "the queue gives more than anybody put");
        }
        return got;
    }

    /// While the victim stands: whether the lease is its own already. Nobody else has one.
    void see_whether_leased() { victim_has_it = queue->unfinished() != queue->size(); }
    bool victim_has_it = false;

    void also_put(std::uint64_t n) { expected_[n] = 1; }
    void expect_tries(std::uint64_t n, unsigned tries) { expected_[n] = tries; }
    void forget(std::uint64_t n) { expected_.erase(n); }

    /// Every item was done once, by whom it should have been the n-th time; nothing else was got.
    void expect_done(const Got& got) {
        for (const auto& [n, tries] : expected_) {
            const auto found = got.find(n);
            if (found == got.end())
                throw Failure("item " + std::to_string(n) + " is lost");
            if (found->second != tries)
                throw Failure("item " + std::to_string(n) + " has tries " +
                              std::to_string(found->second) + ", not " + std::to_string(tries));
        }
        for (const auto& [n, tries] : got)
            if (!expected_.contains(n))
                throw Failure("item " + std::to_string(n) + " was got after it was done");
        settle();
    }
    /// Nothing is left: no item, no block; and the queue still does what queues do.
    void settle() {
        require(queue->try_join_for(limit()), "all is done, and join() does not see it");
        require(queue->unfinished() == 0 && queue->empty(), "the queue counts wrong");
        expect_no_memory_lost();
        for (std::uint64_t n = 0; n < 2 * capacity; ++n) {
            require(queue->try_put_for(Kind::make(n), limit()), "put() hangs afterwards");
            auto task = queue->try_get_for(limit());
            require(task.has_value() && checked(**task) == n && task->tries() == 1,
                    "the queue is damaged");
            task->task_done();
        }
        for (std::uint64_t n = 0; n < capacity; ++n)
            require(queue->try_put(Kind::make(n)), "slots are lost");
        require(!queue->try_put(Kind::make(1)), "the capacity has grown");
        for (std::uint64_t n = 0; n < capacity; ++n) {
            auto task = queue->try_get();
            require(task.has_value() && checked(**task) == n, "the order is damaged");
            task->task_done();
        }
        expect_no_memory_lost();
    }
    void expect_no_memory_lost() {
        arena::tree_space().sweep();
        const auto now = arena::arena_usage();
        if (now.blocks_used != before_.blocks_used || now.bytes_used != before_.bytes_used)
            throw Failure("blocks leak: " + std::to_string(before_.blocks_used) + " before, now " +
                          std::to_string(now.blocks_used));
    }

    static std::uint64_t checked(const Message& message) {
        const std::uint64_t n = Kind::number(message);
        require(Kind::whole(message, n), "torn item");
        return n;
    }
    static std::chrono::nanoseconds limit() { return std::chrono::nanoseconds(hang_limit_ns()); }

private:
    std::optional<JoinableQueue<Message>> spare_;
    arena::SpaceUsage before_;
    Got expected_;
};

template <class Kind>
using Shared = std::shared_ptr<World<Kind>>;

template <class Kind>
Scenario at_queue(const Shared<Kind>& world, const char* name, std::uint64_t items) {
    Scenario scenario;
    scenario.name = std::string(name) + ", " + Kind::what;
    scenario.set_up = [world, items] { world->fresh(items); };
    scenario.prepare = [world] { world->warm_up(); };
    scenario.state = [world] { return world->queue->to_string(); };
    return scenario;
}

/// The results of all partners, which must be done by now.
template <class Kind>
typename World<Kind>::Got results(Round& round, std::size_t from = 0) {
    typename World<Kind>::Got got;
    for (std::size_t i = from; i < round.partner_count(); ++i)
        World<Kind>::add(got, round.result_of(i, "a survivor sleeps on"));
    return got;
}

// ---- put

template <class Kind>
void account_for_put(const Shared<Kind>& world, const Round& round,
                     const typename World<Kind>::Got& got) {
    world->also_put(from_victim);
    if (!round.finished() && !got.contains(from_victim))
        world->forget(from_victim);
    world->expect_done(got);
}

template <class Kind>
Scenario put_alone() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = at_queue<Kind>(world, "task put, alone", 1);
    scenario.operation = [world] { world->queue->put(Kind::make(from_victim)); };
    scenario.check = [world](Round& round) {
        world->put(from_test);
        account_for_put<Kind>(world, round, world->work_off());
    };
    return scenario;
}

template <class Kind>
Scenario put_with_workers_asleep() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = at_queue<Kind>(world, "task put, two workers asleep", 0);
    scenario.operation = [world] { world->queue->put(Kind::make(from_victim)); };
    scenario.early = {world->worker(), world->worker()};
    scenario.nothing_owed_at_the_end = true;
    scenario.check = [world](Round& round) {
        require(await([&] { return world->queue->empty(); }),
                "an item is in the queue, and nobody was woken for it");
        world->put(from_test);
        world->put(from_test + 1);
        account_for_put<Kind>(world, round, world->work_off(results<Kind>(round)));
    };
    return scenario;
}

// ---- get

/// Item 1 is delivered again with tries 2 if it was leased to the victim.
template <class Kind>
void account_for_get(const Shared<Kind>& world, const Round& round,
                     const typename World<Kind>::Got& got, std::uint64_t item = 1) {
    const auto found = got.find(item);
    if (round.finished() || (found != got.end() && found->second == 2))
        world->expect_tries(item, 2);
    world->expect_done(got);
}

template <class Kind>
Scenario get_alone() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = at_queue<Kind>(world, "task get, alone", 2);
    scenario.operation = [world] { world->lease.emplace(world->queue->get()); };
    scenario.at_kill = [world] { world->see_whether_leased(); };
    scenario.check = [world](Round& round) {
        require(!round.finished() || world->victim_has_it, "get() had returned");
        world->put(from_test);
        world->expect_tries(1, world->victim_has_it ? 2 : 1);
        world->expect_done(world->work_off());
    };
    return scenario;
}

template <class Kind>
Scenario get_with_producers_asleep() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = at_queue<Kind>(world, "task get, two producers asleep", world->capacity);
    scenario.operation = [world] { world->lease.emplace(world->queue->get()); };
    scenario.early = {world->producer(from_partner), world->producer(from_partner + 1)};
    scenario.check = [world](Round& round) {
        require(await([&] { return world->queue->full() || round.partners_done() == 2; }),
                "there is room, and nobody was woken for it");
        world->also_put(from_partner);
        world->also_put(from_partner + 1);
        typename World<Kind>::Got got;
        require(await([&] {
                    const bool done = round.partners_done() == 2;
                    got = world->work_off(std::move(got));
                    return done;
                }),
                "a producer sleeps on although there is room");
        account_for_get<Kind>(world, round, got);
    };
    return scenario;
}

/// The item that the victim has leased is for the worker, when the victim is dead; then the joiner
/// goes home.
template <class Kind>
Scenario get_with_a_worker_that_comes() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = at_queue<Kind>(world, "task get, a worker and a joiner come", 1);
    scenario.operation = [world] { world->lease.emplace(world->queue->get()); };
    scenario.late = {world->worker(), world->joiner()};
    scenario.check = [world](Round& round) {
        account_for_get<Kind>(world, round, results<Kind>(round));
    };
    return scenario;
}

template <class Kind>
Scenario get_woken() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = at_queue<Kind>(world, "task get, woken, one asleep behind", 0);
    scenario.operation = [world] { world->lease.emplace(world->queue->get()); };
    scenario.behind = {world->worker()};
    scenario.wake = [world] { world->put(7); };
    scenario.check = [world](Round& round) {
        // The victim has got it, and is dead: it is for the one behind.
        account_for_get<Kind>(world, round, world->work_off(results<Kind>(round)), 7);
    };
    return scenario;
}

template <class Kind>
Scenario get_going_to_sleep() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = at_queue<Kind>(world, "task get, going to sleep, another arrives", 0);
    scenario.operation = [world] { world->lease.emplace(world->queue->get()); };
    scenario.late = {world->worker()};
    scenario.check = [world](Round& round) {
        world->put(7);
        world->expect_done(results<Kind>(round));
    };
    return scenario;
}

/// What a dead worker had is taken over by the victim, which dies in that.
template <class Kind>
Scenario redelivery() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = at_queue<Kind>(world, "redelivery to one that dies", 2);
    scenario.set_up = [world] {
        world->fresh(2);
        world->kill_a_worker_with_an_item();
        world->kill_a_worker_with_an_item();
    };
    scenario.operation = [world] { world->lease.emplace(world->queue->get()); };
    scenario.at_kill = [world] { world->see_whether_leased(); };
    scenario.check = [world](Round&) {
        // 1 was leased twice before, as what comes back comes first.
        world->expect_tries(1, world->victim_has_it ? 4 : 3);
        world->expect_done(world->work_off());
    };
    return scenario;
}

/// The same, with a worker that comes.
template <class Kind>
Scenario redelivery_with_a_worker() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = at_queue<Kind>(world, "redelivery to one that dies, a worker comes", 1);
    scenario.set_up = [world] {
        world->fresh(1);
        world->kill_a_worker_with_an_item();
    };
    scenario.operation = [world] { world->lease.emplace(world->queue->get()); };
    scenario.late = {world->worker()};
    scenario.check = [world](Round& round) {
        const auto got = results<Kind>(round);
        const auto found = got.find(1);
        world->expect_tries(1, found != got.end() && found->second == 3 ? 3 : 2);
        world->expect_done(got);
    };
    return scenario;
}

// ---- the end of a lease

/// The victim holds item 1, and ends its lease.
template <class Kind>
Scenario ending(const Shared<Kind>& world, const char* name, std::uint64_t items) {
    Scenario scenario = at_queue<Kind>(world, name, items);
    scenario.prepare = [world] {
        world->warm_up();
        world->lease.emplace(world->queue->get());
        if constexpr (!Shareable<typename Kind::Type>)
            require(Kind::whole(**world->lease, 1), "torn item");
    };
    scenario.operation = [world] { world->lease->task_done(); };
    return scenario;
}

/// Item 1 is done, or comes again.
template <class Kind>
void account_for_done(const Shared<Kind>& world, const Round& round,
                      const typename World<Kind>::Got& got) {
    if (!round.finished() && got.contains(1))
        world->expect_tries(1, 2);
    else
        world->forget(1);
    world->expect_done(got);
}

template <class Kind>
Scenario task_done_alone() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = ending<Kind>(world, "task_done, alone", 2);
    scenario.check = [world](Round& round) {
        account_for_done<Kind>(world, round, world->work_off());
    };
    return scenario;
}

/// The last item: two joiners sleep. If the item comes again, the test does it.
template <class Kind>
Scenario task_done_with_joiners_asleep() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = ending<Kind>(world, "task_done, two joiners asleep", 1);
    scenario.early = {world->joiner(), world->joiner()};
    scenario.nothing_owed_at_the_end = true;
    scenario.check = [world](Round& round) {
        const auto got =
            world->queue->unfinished() > 0 ? world->work_off() : typename World<Kind>::Got{};
        static_cast<void>(round.result_of(0, "all is done, and a joiner sleeps"));
        static_cast<void>(round.result_of(1, "all is done, and a joiner sleeps"));
        account_for_done<Kind>(world, round, got);
    };
    return scenario;
}

/// A closed queue: two workers sleep, because the item may come back.
template <class Kind>
Scenario last_task_done_of_a_closed_queue() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = ending<Kind>(world, "task_done, closed, two workers asleep", 1);
    scenario.early = {world->worker(), world->worker()};
    const auto prepare = scenario.prepare;
    scenario.prepare = [world, prepare] {
        prepare();
        world->queue->close();
    };
    scenario.nothing_owed_at_the_end = true;
    scenario.check = [world](Round& round) {
        const auto got = results<Kind>(round);
        require(!round.finished() || got.empty(), "what was done came again");
        require(got.size() <= 1, "got twice");
        require(world->queue->try_join_for(world->limit()), "join() does not end");
        require(world->queue->unfinished() == 0, "the queue counts wrong");
        world->expect_no_memory_lost();
    };
    return scenario;
}

template <class Kind>
Scenario give_back_with_workers_asleep() {
    const auto world = std::make_shared<World<Kind>>();
    Scenario scenario = ending<Kind>(world, "give_back, a worker and a joiner asleep", 1);
    scenario.operation = [world] { world->lease->give_back(); };
    scenario.early = {world->worker(), world->joiner()};
    scenario.nothing_owed_at_the_end = true;
    scenario.check = [world](Round& round) {
        world->expect_tries(1, 2);
        world->expect_done(results<Kind>(round));
    };
    return scenario;
}

// ---- join and close

inline Scenario join_going_to_sleep() {
    const auto world = std::make_shared<World<Plain>>();
    Scenario scenario = at_queue<Plain>(world, "join, going to sleep, another arrives", 1);
    scenario.operation = [world] { world->queue->join(); };
    scenario.late = {world->joiner()};
    scenario.check = [world](Round& round) {
        const auto got = world->work_off();
        static_cast<void>(results<Plain>(round));
        world->expect_done(got);
    };
    return scenario;
}

inline Scenario close_with_sleepers() {
    const auto world = std::make_shared<World<Plain>>();
    Scenario scenario = at_queue<Plain>(world, "close of tasks, two workers asleep", 0);
    scenario.operation = [world] { world->queue->close(); };
    scenario.early = {world->worker(), world->worker()};
    scenario.nothing_owed_at_the_end = true;
    scenario.check = [world](Round& round) {
        require(world->queue->closed() || !round.finished(), "close() had returned");
        if (!world->queue->closed())
            world->queue->close();
        require(round.result_of(0, "a worker sleeps at a closed queue") == was_closed, "?");
        require(round.result_of(1, "a worker sleeps at a closed queue") == was_closed, "?");
    };
    return scenario;
}

// ---- pairs

/// A gets the only item and dies; B gets, anywhere on its way to sleep, and must have the item.
template <class Kind>
Pair get_and_get(Pair::Order order) {
    const auto world = std::make_shared<World<Kind>>();
    Pair pair;
    pair.name = std::string("task get/get, ") +
                (order == Pair::Order::a_first ? "A first, " : "B first, ") + Kind::what;
    pair.order = order;
    pair.set_up = [world] { world->fresh(1); };
    pair.prepare_a = [world] { world->warm_up(); };
    pair.prepare_b = pair.prepare_a;
    pair.a = [world] { world->lease.emplace(world->queue->get()); };
    pair.b = world->worker();
    pair.check = [world](PairRound& round) {
        typename World<Kind>::Got got;
        World<Kind>::add(got, round.b_ends("the item of the dead is there, and B sleeps"));
        if (got.contains(1) && got.at(1) == 2)
            world->expect_tries(1, 2);
        world->expect_done(got);
    };
    pair.state = [world] { return world->queue->to_string(); };
    return pair;
}

/// A does the last item and dies; B joins.
template <class Kind>
Pair task_done_and_join(Pair::Order order) {
    const auto world = std::make_shared<World<Kind>>();
    Pair pair;
    pair.name = std::string("task_done/join, ") +
                (order == Pair::Order::a_first ? "A first, " : "B first, ") + Kind::what;
    pair.order = order;
    pair.set_up = [world] { world->fresh(1); };
    pair.prepare_a = [world] {
        world->warm_up();
        world->lease.emplace(world->queue->get());
    };
    pair.prepare_b = [world] { world->warm_up(); };
    pair.a = [world] { world->lease->task_done(); };
    pair.b = world->joiner();
    pair.b_before_the_kill = true;
    pair.check = [world](PairRound& round) {
        const bool open = world->queue->unfinished() > 0;
        require(!open || !round.a_finished(), "task_done() had returned");
        if (open)
            static_cast<void>(round.b_rests()); // it may stand still with the lock
        const auto got = open ? world->work_off() : typename World<Kind>::Got{};
        static_cast<void>(round.b_ends("all is done, and join() sleeps"));
        if (open)
            world->expect_tries(1, 2);
        else
            world->forget(1);
        if (!round.a_finished())
            world->expect_done(got);
    };
    pair.state = [world] { return world->queue->to_string(); };
    return pair;
}

} // namespace multifork::test::crash::lease_scenarios
