#include "pool/pool_impl.hpp"
#include "process/own_threads.hpp"

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
// More workers in a row than this die before they are ready: the next one would, too.
constexpr unsigned most_deaths_at_start = 5;

class OtherSignals {
public:
    explicit OtherSignals(const sigset_t& wanted) {
        ::pthread_sigmask(SIG_SETMASK, &wanted, &before_);
    }
    ~OtherSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    OtherSignals(const OtherSignals&) = delete;
    OtherSignals& operator=(const OtherSignals&) = delete;

private:
    sigset_t before_{};
};

std::string text_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& thrown) {
        return thrown.what();
    } catch (...) {
        return "an exception of unknown type";
    }
}

} // namespace

void PoolCore::Impl::collect() {
    const OwnThread known;
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
        complete(finished);
        {
            const std::scoped_lock hold(mutex);
            if (ended) {
                collector_changed.notify_all();
                return;
            }
        }
        if (found) {
            looks = 0;
            continue;
        }
        if (looks++ < liveness::tuning().yields.load(std::memory_order_relaxed)) {
            ::sched_yield(); // a worker that is nearly done would pay for waking this thread
            continue;
        }
        platform::Deadline until = platform::Deadline::never();
        {
            const std::scoped_lock hold(mutex);
            until = next_look();
        }
        core::task_listen(view, until, [&] { return look(finished); });
        complete(finished);
        looks = 0;
    }
}

bool PoolCore::Impl::look(std::vector<Finished>& finished) {
    std::size_t count = 0;
    bool found = false;
    {
        const std::scoped_lock hold(mutex);
        for (std::uint32_t seat = 0; seat < view.shape.seats; ++seat)
            found |= hear(seat, finished);
        found |= bury_dead(finished);
        if (limited > 0)
            kill_late();
        if (life == Life::open || life == Life::closed) {
            count = fill_slots();
            found |= start_missing(finished);
            if (life == Life::closed && unfinished == 0 && !stopping) {
                stopping = found = true;
                core::task_stop(view);
            }
        } else {
            found |= end_workers();
            fail_all(life == Life::broken
                         ? std::make_exception_ptr(BrokenProcessPool(why_broken))
                         : std::make_exception_ptr(
                               Cancelled("the pool was terminated before this task was done")),
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
    Finished done;
    done.task = in_slot[slot];
    done.threw = from.failed != 0;
    arena::Space& space = table.object().space();
    if (from.result_block != 0) {
        const std::uint64_t position = core::TaskState::of(from.state.load()).position;
        if (space.take_from_ring(from.result_block, table.object().offset(), position)) {
            done.block = from.result_block;
            done.block_bytes = from.result_bytes;
        } else {
            done.error = std::make_exception_ptr(CorruptSharedMemory(
                "the result of a task is not where its worker says: shared memory was overwritten; "
                "look for a task that writes where it should not"));
        }
    } else if (from.result_bytes <= core::inline_result_bytes) {
        done.result.assign(from.result.begin(),
                           from.result.begin() + static_cast<std::ptrdiff_t>(from.result_bytes));
    }
    done.task->place = PoolTask::Place::finished;
    free_slot(slot);
    --unfinished;
    finished.push_back(std::move(done));
}

bool PoolCore::Impl::has_ended(Worker& worker, std::uint32_t seat) const {
    if (!worker.process)
        return false;
    const liveness::ThreadWord name = view.seat(seat).name.load();
    if (name == liveness::nobody)
        return worker.process->try_join_for(0s);
    if (liveness::is_alive(*view.domain, name))
        return false;
    // Its main thread has ended; the process is about to. One that does not is no worker any more:
    // its task has called exec, say.
    if (!worker.process->try_join_for(1s)) {
        worker.process->kill();
        worker.process->join();
    }
    return true;
}

bool PoolCore::Impl::bury_dead(std::vector<Finished>& finished) {
    bool found = false;
    for (std::uint32_t seat = 0; seat < view.shape.seats; ++seat)
        if (has_ended(workers[seat], seat)) {
            found = true;
            bury(seat, finished);
        }
    return found;
}

// The worker was reaped: what it has written is final.
void PoolCore::Impl::bury(std::uint32_t seat, std::vector<Finished>& finished) {
    hear(seat, finished);
    Worker& worker = workers[seat];
    WorkerEnd end;
    end.name = worker.process->name();
    end.pid = worker.process->pid().value_or(0);
    end.exitcode = worker.process->exitcode().value_or(0);
    const bool was_ready = worker.seen_ready;
    const bool was_late = worker.was_late;
    const core::Seat& said = view.seat(seat);
    const bool initializer_failed = said.status.load() == core::SeatStatus::failed;
    const bool retired = said.status.load() == core::SeatStatus::retired;
    worker.process.reset();

    for (std::uint32_t slot = 0; slot < view.shape.slots; ++slot) {
        if (in_slot[slot] == nullptr)
            continue;
        const core::TaskState state = core::TaskState::of(view.slot(slot).state.load());
        if (state.seat != seat)
            continue;
        if (state.tag == core::TaskTag::done)
            take_result(slot, finished); // it died before it could say so
        else if (state.tag == core::TaskTag::taken)
            give_up(slot, end, was_late, finished);
    }
    core::task_wake_all(view); // what it was woken for is for the others

    if (life == Life::terminated || life == Life::broken || stopping)
        return;
    if (initializer_failed) {
        const std::uint32_t lengths = said.error.load();
        const std::size_t type = std::min<std::size_t>(lengths >> 16, said.text.size());
        const std::size_t text = std::min<std::size_t>(lengths & 0xFFFF, said.text.size() - type);
        break_pool(
            fmt::format("the initializer of a pool threw {} in {} (pid {}): {}; every worker "
                        "would do the same, so the pool is broken",
                        std::string_view(said.text.data(), type), end.name, end.pid,
                        std::string_view(said.text.data() + type, text)),
            finished);
        return;
    }
    if (!was_ready && ++deaths_at_start > most_deaths_at_start) {
        break_pool(
            fmt::format("{} workers of a pool in a row ended before they were ready, {} (pid "
                        "{}) the last, with exit code {}; look at the initializer, and at "
                        "what the program does before main()",
                        deaths_at_start, end.name, end.pid, end.exitcode),
            finished);
        return;
    }
    if (options.when_worker_dies == on_worker_death::break_pool && !retired && !was_late) {
        break_pool(fmt::format("{} (pid {}) ended with exit code {}, and this pool was told to "
                               "break then",
                               end.name, end.pid, end.exitcode),
                   finished);
        return;
    }
    if (options.start_on_demand)
        return; // start_missing() will, if need be
    try {
        const OtherSignals as_in_the_beginning(signals);
        start_worker(seat);
    } catch (const std::exception& error) {
        break_pool(
            fmt::format("a worker of a pool ended and no other could be started: {}", error.what()),
            finished);
    }
}

bool PoolCore::Impl::start_missing(std::vector<Finished>& finished) {
    bool found = false;
    for (std::uint32_t seat = 0; seat < view.shape.seats && lacks_workers(); ++seat) {
        if (workers[seat].process)
            continue;
        found = true;
        try {
            const OtherSignals as_in_the_beginning(signals);
            start_worker(seat);
        } catch (const std::exception& error) {
            break_pool(fmt::format("a worker of a pool could not be started: {}", error.what()),
                       finished);
            break;
        }
    }
    return found;
}

void PoolCore::Impl::give_up(std::uint32_t slot, const WorkerEnd& worker, bool killed_for_another,
                             std::vector<Finished>& finished) {
    const std::shared_ptr<PoolTask> task = in_slot[slot];
    core::TaskSlot& lost = view.slot(slot);
    arena::Space& space = table.object().space();
    const std::uint64_t position = core::TaskState::of(lost.state.load()).position;
    // A result on its way: its owner word says whether it was the table's already. If not, it was
    // the dead worker's, and the heap has it back.
    if (lost.result_block != 0 &&
        space.take_from_ring(lost.result_block, table.object().offset(), position))
        space.free(lost.result_block);

    if (life == Life::terminated || life == Life::broken)
        return; // it fails with all others
    // The worker was done with the late task just before the signal came, and had taken this one:
    // that is no fault of it.
    const bool innocent = killed_for_another && !task->late;
    const bool again = !task->late && options.when_worker_dies == on_worker_death::retry_task &&
                       task->tries <= options.retries;
    if (innocent)
        --task->tries;
    if ((innocent || again) && put(slot, task))
        return;
    free_slot(slot);
    --unfinished;
    WorkerEnd end = worker;
    end.task = task->index;
    if (task->late)
        fail(task,
             std::make_exception_ptr(TaskTimedOut(
                 end, fmt::format("task {} ran longer than its limit of {} ms; {} (pid {}), which "
                                  "ran it, was killed",
                                  end.task, task->limit_ns / 1'000'000, end.name, end.pid))),
             finished);
    else if (options.when_worker_dies == on_worker_death::break_pool) {
        const std::string why =
            fmt::format("{} (pid {}) ended with exit code {} while it ran task {}, and this pool "
                        "was told to break then",
                        end.name, end.pid, end.exitcode, end.task);
        fail(task, std::make_exception_ptr(BrokenProcessPool(why)), finished);
        break_pool(why, finished);
    } else
        fail(task, std::make_exception_ptr(WorkerDied(end)), finished);
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

void PoolCore::Impl::kill_late() {
    const std::int64_t now = platform::monotonic_ns();
    for (std::uint32_t slot = 0; slot < view.shape.slots; ++slot) {
        const std::shared_ptr<PoolTask>& task = in_slot[slot];
        if (task == nullptr || task->limit_ns == 0 || task->late)
            continue;
        const core::TaskState state = core::TaskState::of(view.slot(slot).state.load());
        const std::int64_t began = view.slot(slot).began_ns.load();
        if (state.tag != core::TaskTag::taken || began == 0 || now - began < task->limit_ns)
            continue;
        // The worker may be done between this look and its end: then its result counts.
        task->late = true;
        if (Worker& worker = workers[state.seat]; worker.process) {
            worker.was_late = true;
            worker.process->kill();
        }
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
                worker.process->terminate();
        return true;
    }
    if (kill_at_ns != 0 && platform::monotonic_ns() >= kill_at_ns) {
        kill_at_ns = 0;
        for (Worker& worker : workers)
            if (worker.process)
                worker.process->kill();
    }
    return false;
}

platform::Deadline PoolCore::Impl::next_look() const {
    std::int64_t next = platform::Deadline::never().ns();
    const std::int64_t now = platform::monotonic_ns();
    for (std::uint32_t seat = 0; seat < view.shape.seats; ++seat)
        if (workers[seat].process && view.seat(seat).name.load() == liveness::nobody)
            next = std::min(next, now + std::chrono::nanoseconds(look_after_starting).count());
    if (limited > 0)
        for (std::uint32_t slot = 0; slot < view.shape.slots; ++slot)
            if (in_slot[slot] != nullptr && in_slot[slot]->limit_ns > 0 && !in_slot[slot]->late)
                if (const std::int64_t began = view.slot(slot).began_ns.load(); began != 0)
                    next = std::min(next, began + in_slot[slot]->limit_ns);
    if (kill_at_ns != 0)
        next = std::min(next, kill_at_ns);
    if (next == platform::Deadline::never().ns())
        return platform::Deadline::never();
    return next <= now ? platform::Deadline::poll()
                       : platform::Deadline::after(std::chrono::nanoseconds(next - now));
}

void PoolCore::Impl::complete(std::vector<Finished>& finished) {
    arena::Space& space = table.object().space();
    std::vector<Finished> others;
    for (Finished& each : finished) {
        std::span<const std::byte> bytes(each.result);
        try {
            if (each.error == nullptr && each.block != 0)
                bytes = {space.checked(each.block, each.block_bytes), each.block_bytes};
            if (each.error == nullptr && each.threw)
                each.error = read_error(bytes);
            if (each.error == nullptr)
                each.task->done(bytes);
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
            space.free(each.block);
    }
    finished.clear();
    if (!others.empty())
        complete(others);
}

} // namespace multifork::detail
