#pragma once

#include "crash/harness/pair.hpp"
#include "crash/queue_world.hpp"

#include <multifork/channel/joinable_queue.hpp>

#include <csignal>
#include <map>

#include <sys/wait.h>
#include <unistd.h>

// JoinableQueues for the crash tests, and the accounting of which item was done by whom, and the
// how manieth time it was given out.

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
    /// Does what is left, and sees that all is done. A sleeper who was woken may hold the lock.
    Got work_off(Got got = {}) {
        while (queue->unfinished() > 0) {
            auto task = queue->try_get_for(limit());
            if (!task)
                break; // lost, or a lease of the dead does not come back: the account says which
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

} // namespace multifork::test::crash::lease_scenarios
