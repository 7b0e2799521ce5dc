#include "pool/pool_impl.hpp"
#include "pool/worker_handle.hpp"

#include <multifork/liveness/domain.hpp>
#include <multifork/platform/clock.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

// What the collector does about workers that end: it reaps them, finds the task or chunk that each
// has taken with it, and starts others in their places. And it kills those whose time is up.

namespace multifork::detail {
namespace {

using namespace std::chrono_literals;

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

std::string why_broken_by(const WorkerEnd& end) {
    return fmt::format("{} (pid {}) ended with exit code {} while it ran task {}, and this pool "
                       "was told to break then",
                       end.name, end.pid, end.exitcode, end.task);
}

} // namespace

bool PoolCore::Impl::has_ended(Worker& worker, std::uint32_t seat) const {
    if (!worker.process)
        return false;
    const WorkerHandle process(*worker.process);
    const liveness::ThreadWord name = view.seat(seat).name.load();
    if (name == liveness::nobody)
        return process.ends_before(platform::Deadline::poll());
    if (liveness::is_alive(*view.domain, name))
        return false;
    // Its main thread has ended; the process is about to. One that does not is no worker any more:
    // its task has called exec, say.
    if (!process.ends_before(platform::Deadline::after(1s))) {
        process.send(SIGKILL);
        static_cast<void>(process.ends_before(platform::Deadline::never()));
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
    end.exitcode = WorkerHandle(*worker.process).code();
    const bool was_ready = worker.seen_ready;
    const bool was_late = worker.was_late;
    const core::Seat& said = view.seat(seat);
    const bool initializer_failed = said.status.load() == core::SeatStatus::failed;
    const bool retired = said.status.load() == core::SeatStatus::retired;
    worker.process.reset();
    // It may have no successor, and who listens to the dead does not sleep.
    view.seat(seat).name.store(liveness::nobody);

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
    if (!options.start_on_demand) // else start_missing() does, if need be
        want_worker(seat);
}

void PoolCore::Impl::want_worker(std::uint32_t seat) {
    vacant.push_back(seat);
    workers[seat].to_start = true;
}

bool PoolCore::Impl::start_missing() {
    bool found = false;
    for (std::uint32_t seat = 0; seat < view.shape.seats && lacks_workers(); ++seat)
        if (!workers[seat].process && !workers[seat].to_start) {
            want_worker(seat);
            found = true;
        }
    return found;
}

void PoolCore::Impl::start_workers(std::vector<Finished>& finished) {
    for (const std::uint32_t seat : std::exchange(vacant, {})) {
        {
            const std::scoped_lock hold(mutex);
            workers[seat].to_start = false;
            if (stopping || life == Life::terminated || life == Life::broken)
                continue;
        }
        try {
            const OtherSignals as_in_the_beginning(signals);
            start_worker(seat);
        } catch (...) { // the copy of an initializer's argument may throw anything
            const std::string why = text_of(std::current_exception());
            const std::scoped_lock hold(mutex);
            break_pool(fmt::format("a worker of a pool could not be started: {}", why), finished);
        }
    }
}

void PoolCore::Impl::give_up(std::uint32_t slot, const WorkerEnd& worker, bool killed_late,
                             std::vector<Finished>& finished) {
    core::TaskSlot& lost = view.slot(slot);
    arena::Space& space = table.object().space();
    const std::uint64_t position = core::TaskState::of(lost.state.load()).position;
    // A result on its way: its owner word says whether it was the table's already. If not, it was
    // the dead worker's, and the heap has it back.
    if (lost.result_block != 0 &&
        space.take_from_ring(lost.result_block, table.object().offset(), position))
        space.free(lost.result_block);
    if (in_slot[slot]->map != nullptr)
        give_up_chunk(slot, worker, killed_late, finished);
    else if (life != Life::terminated && life != Life::broken)
        give_up_call(slot, worker, killed_late, finished);
    // else it fails with all others
}

// A worker that was killed because its task was late may have been done with it just before the
// signal came, and have taken another: that one is innocent, and is not counted as tried.

void PoolCore::Impl::give_up_call(std::uint32_t slot, WorkerEnd end, bool killed_late,
                                  std::vector<Finished>& finished) {
    const std::shared_ptr<PoolTask> task = in_slot[slot];
    const bool innocent = killed_late && !task->late;
    const bool again = !task->late && options.when_worker_dies == on_worker_death::retry_task &&
                       task->tries <= options.retries;
    if (innocent)
        --task->tries;
    if (innocent || again) {
        put_again(slot);
        return;
    }
    const bool late = task->late;
    free_slot(slot);
    --unfinished;
    end.task = task->index;
    const std::exception_ptr error = loss_of(end, task->limit_ns, late);
    fail(task, error, finished);
    if (!late && options.when_worker_dies == on_worker_death::break_pool)
        break_pool(why_broken_by(end), finished);
}

void PoolCore::Impl::give_up_chunk(std::uint32_t slot, WorkerEnd end, bool killed_late,
                                   std::vector<Finished>& finished) {
    const std::shared_ptr<PoolTask> task = in_slot[slot];
    MapJob& map = *task->map;
    const auto chunk = map.bury(static_cast<std::uint32_t>(task->first));
    if (life == Life::terminated || life == Life::broken)
        return; // it fails with all others
    bool breaks = false;
    if (chunk) {
        const bool late = task->late && task->late_chunk == *chunk;
        const bool innocent = killed_late && !late;
        const bool again = !innocent && !late &&
                           options.when_worker_dies == on_worker_death::retry_task &&
                           map.count_try(*chunk) <= options.retries;
        end.task = map.first_index + *chunk;
        if (innocent || again)
            map.give_back(*chunk);
        else
            map.lose(*chunk, loss_of(end, task->limit_ns, late));
        breaks = !innocent && !late && options.when_worker_dies == on_worker_death::break_pool;
    }
    // The share goes on: there are other chunks, perhaps that same one.
    put_again(slot);
    if (breaks)
        break_pool(why_broken_by(end), finished);
}

std::exception_ptr PoolCore::Impl::loss_of(const WorkerEnd& end, std::int64_t limit_ns,
                                           bool late) const {
    if (late)
        return std::make_exception_ptr(TaskTimedOut(
            end, fmt::format("task {} ran longer than its limit of {} ms; {} (pid {}), which "
                             "ran it, was killed",
                             end.task, limit_ns / 1'000'000, end.name, end.pid)));
    if (options.when_worker_dies == on_worker_death::break_pool)
        return std::make_exception_ptr(BrokenProcessPool(why_broken_by(end)));
    return std::make_exception_ptr(WorkerDied(end));
}

void PoolCore::Impl::kill_late() {
    const std::int64_t now = platform::monotonic_ns();
    for (std::uint32_t slot = 0; slot < view.shape.slots; ++slot) {
        const std::shared_ptr<PoolTask>& task = in_slot[slot];
        if (task == nullptr || task->limit_ns == 0 || task->late)
            continue;
        const core::TaskState state = core::TaskState::of(view.slot(slot).state.load());
        const std::int64_t since = began(slot);
        if (state.tag != core::TaskTag::taken || since == 0 || now - since < task->limit_ns)
            continue;
        if (task->map != nullptr) {
            const auto chunk = task->map->begun_at(static_cast<std::uint32_t>(task->first), since);
            if (!chunk)
                continue; // it has gone on
            task->late_chunk = *chunk;
        }
        // The worker may be done between this look and its end: then its result counts.
        task->late = true;
        if (Worker& worker = workers[state.seat]; worker.process) {
            worker.was_late = true;
            WorkerHandle(*worker.process).send(SIGKILL);
        }
    }
}

} // namespace multifork::detail
