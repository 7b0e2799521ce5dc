#include "pool/pool_impl.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

// How tasks get to the workers: into a slot of the table, or, as long as all are taken, into a row
// in the memory of this process.

namespace multifork::detail {

std::size_t PoolCore::Impl::accept(std::shared_ptr<PoolTask> task) {
    if (pending.empty() && !free_slots.empty() && put(free_slots.back(), *task)) {
        const std::uint32_t slot = free_slots.back();
        free_slots.pop_back();
        give_slot(slot, std::move(task));
        ++unfinished;
        if (!free_slots.empty()) // its lines were written elsewhere last
            view.expect_task(free_slots.back());
        return 1;
    }
    pending.push_back(std::move(task)); // may throw: then it is none of this pool's tasks
    pending.back()->place = PoolTask::Place::pending;
    ++unfinished;
    return 0;
}

std::size_t PoolCore::Impl::accept_all(const std::vector<std::shared_ptr<PoolTask>>& tasks) {
    pending.insert(pending.end(), tasks.begin(), tasks.end()); // may throw, as above
    for (const auto& task : tasks)
        task->place = PoolTask::Place::pending;
    unfinished += tasks.size();
    return fill_slots();
}

void PoolCore::Impl::give_slot(std::uint32_t slot, std::shared_ptr<PoolTask> task) {
    task->place = PoolTask::Place::slot;
    task->slot = slot;
    limited += task->limit_ns > 0 ? 1 : 0;
    in_slot[slot] = std::move(task);
}

bool PoolCore::Impl::put(std::uint32_t slot, PoolTask& task) {
    core::TaskSlot& to = view.slot(slot);
    if (task.block != nullptr) {
        to.block = task.block->offset();
        to.bytes = task.block->bytes();
    } else {
        const std::span<const std::byte> bytes = task.bytes.get();
        to.block = 0;
        to.bytes = bytes.size();
        std::memcpy(to.task.data(), bytes.data(), bytes.size());
    }
    to.first = task.first;
    to.limited = task.limit_ns == 0 ? 0 : task.map == nullptr ? 1 : 2;
    to.began_ns.store(0, std::memory_order_relaxed); // before the state, as all of these
    to.result_block = 0;
    if (!core::task_put(view, slot))
        return false;
    ++task.tries;
    task.late = false;
    return true;
}

void PoolCore::Impl::put_again(std::uint32_t slot) {
    const std::shared_ptr<PoolTask> task = in_slot[slot];
    if (put(slot, *task))
        return;
    free_slot(slot); // the order is full: when there is room, before all others
    task->place = PoolTask::Place::pending;
    pending.push_front(task);
}

std::size_t PoolCore::Impl::fill_slots() {
    std::size_t count = 0;
    while (!pending.empty() && !free_slots.empty()) {
        const std::shared_ptr<PoolTask>& task = pending.front();
        if (task->place != PoolTask::Place::pending) { // withdrawn
            pending.pop_front();
            continue;
        }
        const std::uint32_t slot = free_slots.back();
        if (!put(slot, *task))
            break;
        free_slots.pop_back();
        if (!free_slots.empty())
            view.expect_task(free_slots.back());
        give_slot(slot, std::move(pending.front()));
        pending.pop_front();
        ++count;
    }
    return count;
}

std::shared_ptr<PoolTask> PoolCore::Impl::take_from_slot(std::uint32_t slot) {
    limited -= in_slot[slot]->limit_ns > 0 ? 1 : 0;
    return std::move(in_slot[slot]);
}

void PoolCore::Impl::free_slot(std::uint32_t slot) {
    if (in_slot[slot] != nullptr)
        take_from_slot(slot).reset();
    view.slot(slot).state.store(0, std::memory_order_release); // nobody waits for it
    free_slots.push_back(slot);
}

std::int64_t PoolCore::Impl::began(std::uint32_t slot) const {
    const PoolTask& task = *in_slot[slot];
    return task.map != nullptr ? task.map->began(static_cast<std::uint32_t>(task.first))
                               : view.slot(slot).began_ns.load();
}

void PoolCore::submit(std::shared_ptr<PoolTask> task) {
    impl_->check_process();
    std::size_t count = 0;
    {
        const std::scoped_lock hold(impl_->mutex);
        impl_->check_open_locked();
        task->index = impl_->next_index++;
        count = impl_->accept(std::move(task));
        if (impl_->lacks_workers())
            core::tell_parent(impl_->view);
    }
    if (count > 0)
        core::task_wake(impl_->view, count);
}

void PoolCore::submit_map(const std::shared_ptr<MapJob>& job) {
    impl_->check_process();
    auto tasks = MapJob::shares(job, impl_->options.task_limit.count());
    std::size_t count = 0;
    {
        const std::scoped_lock hold(impl_->mutex);
        impl_->check_open_locked();
        job->first_index = impl_->next_index;
        impl_->next_index += job->chunks();
        if (job->has_progress())
            impl_->watched.reserve(impl_->watched.size() + 1);
        count = impl_->accept_all(tasks);
        if (job->has_progress())
            impl_->watched.push_back(job);
        if (impl_->lacks_workers())
            core::tell_parent(impl_->view);
    }
    if (count > 0)
        core::task_wake(impl_->view, count);
}

bool PoolCore::withdraw(PoolTask& task) {
    impl_->check_process();
    std::shared_ptr<PoolTask> keep; // until the mutex is free again
    const std::scoped_lock hold(impl_->mutex);
    switch (task.place) {
    case PoolTask::Place::pending:
        break; // it stays in the row, and is left out when its turn comes
    case PoolTask::Place::slot:
        if (!core::task_withdraw(impl_->view, task.slot))
            return false;
        keep = impl_->take_from_slot(task.slot);
        impl_->free_slot(task.slot);
        break;
    default:
        return false;
    }
    task.place = PoolTask::Place::finished;
    task.block.reset();
    --impl_->unfinished;
    core::tell_parent(impl_->view); // there is room; or it was the last
    return true;
}

bool PoolCore::has_begun(const PoolTask& task) const {
    impl_->check_process();
    const std::scoped_lock hold(impl_->mutex);
    return task.place == PoolTask::Place::slot &&
           core::TaskState::of(impl_->view.slot(task.slot).state.load()).tag !=
               core::TaskTag::queued;
}

std::vector<std::shared_ptr<PoolTask>> PoolCore::waiting() const {
    impl_->check_process();
    const std::scoped_lock hold(impl_->mutex);
    std::vector<std::shared_ptr<PoolTask>> all(impl_->pending.begin(), impl_->pending.end());
    for (std::uint32_t slot = 0; slot < impl_->view.shape.slots; ++slot)
        if (impl_->in_slot[slot] != nullptr &&
            core::TaskState::of(impl_->view.slot(slot).state.load()).tag == core::TaskTag::queued)
            all.push_back(impl_->in_slot[slot]);
    return all;
}

std::span<const std::byte> PoolCore::know_function(TaskFunction function,
                                                   std::atomic<const FunctionBytes*>& known) {
    std::vector<std::byte> token;
    ByteWriter writer(token);
    write_function(writer, reinterpret_cast<AnyFunction>(function));
    const auto length = static_cast<std::uint32_t>(token.size());
    auto made = std::make_unique<FunctionBytes>();
    made->bytes.resize(sizeof length + token.size());
    std::memcpy(made->bytes.data(), &length, sizeof length);
    std::memcpy(made->bytes.data() + sizeof length, token.data(), token.size());
    const FunctionBytes* first = nullptr;
    // acq_rel: pairs with itself, and with the load in function_bytes()
    if (known.compare_exchange_strong(first, made.get(), std::memory_order_acq_rel))
        first = made.release(); // for good: as long as there is the function
    return first->bytes;
}

} // namespace multifork::detail
