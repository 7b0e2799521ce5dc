#include "platform/own_threads.hpp"
#include "pool/pool_impl.hpp"
#include "pool/worker_handle.hpp"

#include <multifork/liveness/domain.hpp>
#include <multifork/liveness/tuning.hpp>
#include <multifork/platform/clock.hpp>

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <utility>

// The collector: one thread of the parent, which sleeps until a worker is done with a task, has
// died, or a task's time is up.

namespace multifork::detail {
namespace {

using namespace std::chrono_literals;

// A worker that has not come as far as its seat has no beacon yet: until then it is looked after.
constexpr auto look_after_starting = 20ms;
// What a worker that was told to end by SIGTERM gets before SIGKILL.
constexpr std::int64_t grace_ns = 5'000'000'000;
constexpr const char* terminated_text = "the pool was terminated before this task was done";

} // namespace

std::string PoolCore::Impl::text_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& thrown) {
        return thrown.what();
    } catch (...) {
        return "an exception of unknown type";
    }
}

void PoolCore::Impl::collect() {
    const platform::OwnThread known;
    ::pthread_setname_np(::pthread_self(), "multifork-pool");
    {
        const std::scoped_lock hold(mutex);
        collecting = true;
    }
    collector_changed.notify_all();
    std::vector<Finished> finished;
    unsigned looks = 0;
    for (;;) {
        const bool found = look(finished);
        start_workers(finished);
        complete(finished);
        if (ended) { // nobody else writes it
            const std::scoped_lock hold(mutex);
            collector_changed.notify_all();
            return;
        }
        if (found) {
            looks = 0;
            continue;
        }
        // A worker that is nearly done would pay for waking this thread.
        const unsigned yields = liveness::tuning().yields.load(std::memory_order_relaxed);
        while (looks < yields && !any_done()) {
            ::sched_yield();
            ++looks;
        }
        if (any_done())
            continue;
        platform::Deadline until = platform::Deadline::never();
        core::task_listen(view, until, [&] {
            if (look(finished))
                return true;
            // Not before it listens: a task with a limit that begins from here on wakes it.
            const std::scoped_lock hold(mutex);
            until = next_look();
            return false;
        });
        start_workers(finished);
        complete(finished);
        looks = 0;
    }
}

bool PoolCore::Impl::any_done() const noexcept {
    for (std::uint32_t seat = 0; seat < view.shape.seats; ++seat)
        if (view.seat(seat).done_tail.load() != workers[seat].done_head)
            return true;
    return false;
}

bool PoolCore::Impl::look(std::vector<Finished>& finished) {
    std::size_t count = 0;
    bool found = false;
    // With them goes what users wrote, which may end this pool: not as long as the mutex is held.
    std::vector<std::shared_ptr<MapJob>> over;
    {
        const std::scoped_lock hold(mutex);
        for (const std::uint32_t slot : read_slots)
            free_slot(slot);
        read_slots.clear();
        for (std::uint32_t seat = 0; seat < view.shape.seats; ++seat)
            found |= hear(seat, finished);
        found |= bury_dead(finished);
        std::erase_if(watched, [&](auto& map) {
            if (map->is_finished())
                over.push_back(map);
            return map->is_finished();
        });
        for (const auto& map : watched)
            if (map->look())
                with_news.push_back(map);
        found |= !with_news.empty();
        if (limited > 0)
            kill_late();
        if (life == Life::open || life == Life::closed) {
            count = fill_slots();
            found |= start_missing();
            if (life == Life::closed && unfinished == 0 && !stopping) {
                stopping = found = true;
                core::task_stop(view);
            }
        } else {
            found |= end_workers();
            fail_all(life == Life::broken ? std::make_exception_ptr(BrokenProcessPool(why_broken))
                                          : std::make_exception_ptr(Cancelled(terminated_text)),
                     finished);
        }
        const bool nobody_left = std::none_of(
            workers.begin(), workers.end(), [](const Worker& w) { return w.process.has_value(); });
        if (nobody_left && (stopping || life == Life::terminated || life == Life::broken) &&
            finished.empty() && !ended) {
            ended = true;
            found = true;
        }
    }
    if (count > 0)
        core::task_wake(view, count);
    return found || count > 0 || !finished.empty();
}

bool PoolCore::Impl::hear(std::uint32_t seat, std::vector<Finished>& finished) {
    Worker& worker = workers[seat];
    const core::Seat& says = view.seat(seat);
    if (!worker.seen_ready && worker.process &&
        (says.status.load() == core::SeatStatus::ready ||
         says.status.load() == core::SeatStatus::retired)) {
        worker.seen_ready = true;
        deaths_at_start = 0;
    }
    const std::uint32_t tail = says.done_tail.load();
    if (tail == worker.done_head)
        return false;
    for (std::uint32_t at = worker.done_head; at != tail && at - worker.done_head < 8; ++at)
        view.expect_result(view.done(seat, at).load(std::memory_order_relaxed));
    // No more than the ring has, whatever the word says.
    for (std::uint32_t i = 0; worker.done_head != tail && i < view.shape.slots; ++i) {
        const std::uint32_t slot = view.done(seat, worker.done_head++).load();
        if (slot >= view.shape.slots || in_slot[slot] == nullptr)
            continue;
        const core::TaskState state = core::TaskState::of(view.slot(slot).state.load());
        if (state.tag == core::TaskTag::done && state.seat == seat)
            take_result(slot, finished);
    }
    return true;
}

void PoolCore::Impl::take_result(std::uint32_t slot, std::vector<Finished>& finished) {
    core::TaskSlot& from = view.slot(slot);
    if (from.outcome == core::TaskOutcome::come_again && life != Life::terminated &&
        life != Life::broken) {
        put_again(slot);
        core::task_wake(view, 1);
        return;
    }
    Finished done;
    done.slot = slot;
    done.threw = from.outcome == core::TaskOutcome::failed;
    if (from.outcome == core::TaskOutcome::come_again) {
        done.error = life == Life::broken ? std::make_exception_ptr(BrokenProcessPool(why_broken))
                                          : std::make_exception_ptr(Cancelled(terminated_text));
    } else if (from.result_block != 0) {
        arena::Space& space = table.object().space();
        const std::uint64_t position = core::TaskState::of(from.state.load()).position;
        if (space.take_from_ring(from.result_block, table.object().offset(), position))
            done.block = from.result_block;
        else
            done.error = std::make_exception_ptr(CorruptSharedMemory(
                "the result of a task is not where its worker says: shared memory was overwritten; "
                "look for a task that writes where it should not"));
    } else if (from.result_bytes <= core::inline_result_bytes) {
        done.result = {from.result.data(), from.result_bytes};
    }
    done.task = take_from_slot(slot);
    done.task->place = PoolTask::Place::finished;
    --unfinished;
    finished.push_back(std::move(done));
}

void PoolCore::Impl::fail(std::shared_ptr<PoolTask> task, std::exception_ptr error,
                          std::vector<Finished>& finished) {
    task->place = PoolTask::Place::finished;
    Finished failed;
    failed.task = std::move(task);
    failed.error = std::move(error);
    finished.push_back(std::move(failed));
}

void PoolCore::Impl::break_pool(std::string why, std::vector<Finished>& finished) {
    if (life == Life::broken)
        return;
    life = Life::broken;
    why_broken = std::move(why);
    fail_all(std::make_exception_ptr(BrokenProcessPool(why_broken)), finished);
}

// Tasks in slots that a worker may still be at stay there until the worker has gone: it reads their
// blocks.
void PoolCore::Impl::fail_all(const std::exception_ptr& error, std::vector<Finished>& finished) {
    for (; !pending.empty(); pending.pop_front())
        if (pending.front()->place == PoolTask::Place::pending) {
            --unfinished;
            fail(pending.front(), error, finished);
        }
    for (std::uint32_t slot = 0; slot < view.shape.slots; ++slot) {
        if (in_slot[slot] == nullptr)
            continue;
        const core::TaskState state = core::TaskState::of(view.slot(slot).state.load());
        const bool nobody_is_at_it =
            core::task_withdraw(view, slot) ||
            (state.tag == core::TaskTag::taken && !workers[state.seat].process);
        if (!nobody_is_at_it)
            continue;
        std::shared_ptr<PoolTask> task = in_slot[slot];
        free_slot(slot);
        --unfinished;
        fail(std::move(task), error, finished);
    }
}

bool PoolCore::Impl::end_workers() {
    if (kill_at_ns == 0 && !told_to_end) {
        told_to_end = true;
        stopping = true;
        core::task_stop(view);
        kill_at_ns = platform::monotonic_ns() + grace_ns;
        for (Worker& worker : workers)
            if (worker.process)
                WorkerHandle(*worker.process).send(SIGTERM);
        return true;
    }
    if (kill_at_ns != 0 && platform::monotonic_ns() >= kill_at_ns) {
        kill_at_ns = 0;
        for (Worker& worker : workers)
            if (worker.process)
                WorkerHandle(*worker.process).send(SIGKILL);
    }
    return false;
}

platform::Deadline PoolCore::Impl::next_look() const {
    constexpr std::int64_t never = platform::Deadline::never().ns();
    std::int64_t next = never;
    const std::int64_t now = platform::monotonic_ns();
    for (std::uint32_t seat = 0; seat < view.shape.seats; ++seat)
        if (workers[seat].process && view.seat(seat).name.load() == liveness::nobody)
            next = std::min(next, now + std::chrono::nanoseconds(look_after_starting).count());
    if (limited > 0)
        for (std::uint32_t slot = 0; slot < view.shape.slots; ++slot)
            if (in_slot[slot] != nullptr && in_slot[slot]->limit_ns > 0 && !in_slot[slot]->late)
                if (const std::int64_t at = began(slot); at != 0)
                    next = std::min(next, at + std::min(in_slot[slot]->limit_ns, never - at));
    if (kill_at_ns != 0)
        next = std::min(next, kill_at_ns);
    if (next == never)
        return platform::Deadline::never();
    return next <= now ? platform::Deadline::poll()
                       : platform::Deadline::after(std::chrono::nanoseconds(next - now));
}

void PoolCore::Impl::complete(std::vector<Finished>& finished) {
    for (const auto& map : std::exchange(with_news, {}))
        map->tell_progress();
    std::vector<Finished> others;
    for (Finished& each : finished) {
        each.task->block.reset(); // the future may keep the task for long
        try {
            if (each.error == nullptr && each.block != 0)
                each.result = read_result_block(table, each.block);
            if (each.error == nullptr && each.threw)
                each.error = read_error(each.result);
            if (each.error == nullptr)
                each.task->done(each.result);
        } catch (...) {
            each.error = std::current_exception();
            if (options.when_worker_dies == on_worker_death::break_pool) {
                const std::string why =
                    "a result cannot be read, and this pool was told to break then: " +
                    text_of(each.error);
                each.error = std::make_exception_ptr(BrokenProcessPool(why));
                const std::scoped_lock hold(mutex); // before anybody hears of it
                break_pool(why, others);
            }
        }
        if (each.error != nullptr)
            each.task->failed(std::move(each.error));
        if (each.block != 0)
            table.object().space().free(each.block);
        if (each.slot)
            read_slots.push_back(*each.slot);
    }
    finished.clear();
    if (!others.empty())
        complete(others);
}

} // namespace multifork::detail
