#include "pool/pool_impl.hpp"

#include <multifork/error.hpp>
#include <multifork/pool/core_budget.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <system_error>
#include <utility>

namespace multifork::detail {
namespace {

// As many tasks may lie in the table; others wait in the memory of this process.
constexpr std::uint32_t table_slots = 1024;
constexpr std::int64_t most_workers = 4096;

constinit std::atomic<unsigned> workers_named{0};

std::string_view prefix_of(StartMethod method) {
    switch (method) {
    case StartMethod::fork:
        return "Fork";
    case StartMethod::spawn:
        return "Spawn";
    case StartMethod::forkserver:
        return "ForkServer";
    }
    return "";
}

/// No signal meant for the user's threads is to end up in the collector.
class AllSignalsBlocked {
public:
    AllSignalsBlocked() {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~AllSignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    AllSignalsBlocked(const AllSignalsBlocked&) = delete;
    AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

private:
    sigset_t before_{};
};

} // namespace

PoolCore::Impl::Impl(PoolTable the_table, const PoolOptions& the_options, MakeWorker make,
                     StartMethod the_method)
    : table(std::move(the_table)), view(table.view()), options(the_options),
      make_worker(std::move(make)), method(the_method), workers(view.shape.seats),
      in_slot(view.shape.slots) {
    for (std::uint32_t slot = view.shape.slots; slot-- > 0;)
        free_slots.push_back(slot);
    ::pthread_sigmask(SIG_SETMASK, nullptr, &signals);
}

PoolCore::PoolCore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PoolCore::~PoolCore() {
    if (!impl_->owner.is_here())
        static_cast<void>(impl_.release()); // a copy in a child: its thread is not there
    else if (impl_->collector.joinable())
        impl_->collector.detach(); // this is the collector itself, at its very end
}

void check_pool_options(const PoolOptions& options) {
    if (options.max_tasks_per_worker && *options.max_tasks_per_worker < 1)
        throw InvalidArgument(fmt::format("max_tasks_per_worker is {}: a worker must be allowed at "
                                          "least 1; leave it out for no end",
                                          *options.max_tasks_per_worker));
    if (options.task_limit.count() < 0)
        throw InvalidArgument("task_limit is negative; 0 means that a task may take as long as it "
                              "takes");
}

std::shared_ptr<PoolCore> PoolCore::start(std::int64_t workers, const PoolOptions& options,
                                          MakeWorker make) {
    if (workers < 1 || workers > most_workers)
        throw InvalidArgument(fmt::format("a pool of {} workers was asked for; it needs at least 1 "
                                          "and at most {}",
                                          workers, most_workers));
    check_pool_options(options);
    const StartMethod method =
        options.start_method ? *options.start_method : start_method_of(get_start_method());
    const core::TaskShape shape{static_cast<std::uint32_t>(workers), table_slots};
    std::shared_ptr<PoolCore> core(
        new PoolCore(std::make_unique<Impl>(PoolTable(shape), options, std::move(make), method)));
    Impl& impl = *core->impl_;
    impl.view.header->cores.store(static_cast<std::uint32_t>(core_budget()));
    for (std::uint32_t seat = 0; seat < shape.seats && !options.start_on_demand; ++seat)
        impl.start_worker(seat); // throws: those that run are daemons, and end with their Process
    {
        const AllSignalsBlocked in_the_new_thread;
        try {
            impl.collector = std::thread([core] { core->impl_->collect(); });
        } catch (const std::system_error& error) {
            throw BrokenProcessPool(
                fmt::format("a pool cannot start its thread: {}", error.what()));
        }
    }
    std::unique_lock lock(impl.mutex);
    impl.collector_changed.wait(lock, [&] { return impl.collecting; });
    return core;
}

void PoolCore::Impl::start_worker(std::uint32_t seat) {
    core::seat_clear(view, seat);
    Worker& worker = workers[seat];
    worker = Worker{};
    ProcessOptions how;
    how.name = fmt::format("{}PoolWorker-{}", prefix_of(method), ++workers_named);
    how.daemon = true; // it ends with this process, however that ends
    how.start_method = method;
    Process process = make_worker(std::move(how), table, seat,
                                  options.max_tasks_per_worker
                                      ? static_cast<std::uint64_t>(*options.max_tasks_per_worker)
                                      : 0);
    process.start();
    worker.process.emplace(std::move(process));
}

bool PoolCore::Impl::lacks_workers() const {
    if (!options.start_on_demand)
        return false;
    const auto there = std::count_if(workers.begin(), workers.end(),
                                     [](const Worker& w) { return w.process.has_value(); });
    return static_cast<std::size_t>(there) < std::min(unfinished, workers.size());
}

void PoolCore::Impl::check_open_locked() const {
    switch (life) {
    case Life::open:
        return;
    case Life::closed:
        throw InvalidState("the pool was closed: it takes no more tasks");
    case Life::terminated:
        throw InvalidState("the pool was terminated: it takes no more tasks");
    case Life::broken:
        throw BrokenProcessPool(why_broken);
    }
}

void PoolCore::Impl::check_process() const {
    if (!owner.is_here())
        throw ProcessError(std::errc::operation_not_permitted,
                           fmt::format("a pool is used in another process than the one that made "
                                       "it (pid {}); make one in this process",
                                       owner.pid()));
}

void PoolCore::check_open() const {
    impl_->check_process();
    const std::scoped_lock hold(impl_->mutex);
    impl_->check_open_locked();
}

std::size_t PoolCore::Impl::accept(std::span<std::shared_ptr<PoolTask>> tasks) {
    unfinished += tasks.size();
    std::size_t count = 0;
    for (auto& task : tasks) {
        if (pending.empty() && !free_slots.empty() && put(free_slots.back(), *task)) {
            const std::uint32_t slot = free_slots.back();
            free_slots.pop_back();
            give_slot(slot, std::move(task));
            if (!free_slots.empty()) // its lines were written elsewhere last
                view.expect_task(free_slots.back());
            ++count;
            continue;
        }
        task->place = PoolTask::Place::pending;
        pending.push_back(std::move(task));
    }
    return count;
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
        count = impl_->accept({&task, 1});
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
            impl_->watched.push_back(job);
        count = impl_->accept(tasks);
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

void PoolCore::close() {
    impl_->check_process();
    const std::scoped_lock hold(impl_->mutex);
    if (impl_->life == Impl::Life::open)
        impl_->life = Impl::Life::closed;
    core::tell_parent(impl_->view);
}

void PoolCore::terminate() {
    impl_->check_process();
    const std::scoped_lock hold(impl_->mutex);
    if (impl_->life == Impl::Life::open || impl_->life == Impl::Life::closed)
        impl_->life = Impl::Life::terminated;
    core::tell_parent(impl_->view);
}

void PoolCore::join() {
    impl_->check_process();
    std::unique_lock lock(impl_->mutex);
    if (impl_->life == Impl::Life::open)
        throw InvalidState("join() of a pool that is open: it would wait for ever; close() or "
                           "terminate() it first");
    if (impl_->collector.get_id() == std::this_thread::get_id())
        throw WouldDeadlock("join() of a pool by a callback of one of its futures");
    impl_->collector_changed.wait(lock, [this] { return impl_->ended; });
    if (!std::exchange(impl_->collector_joined, true)) {
        lock.unlock();
        impl_->collector.join();
    }
}

void PoolCore::leave() noexcept {
    if (!impl_->owner.is_here())
        return;
    try {
        terminate();
        if (impl_->collector.get_id() != std::this_thread::get_id())
            join();
    } catch (...) {
        // A destructor has nobody to tell. The workers are daemons.
    }
}

void PoolCore::write_function(std::vector<std::byte>& bytes, TaskFunction function,
                              std::atomic<const FunctionBytes*>& known) {
    // acquire: pairs with the exchange below
    const FunctionBytes* first = known.load(std::memory_order_acquire);
    if (first == nullptr) {
        std::vector<std::byte> token;
        ByteWriter writer(token);
        detail::write_function(writer, reinterpret_cast<AnyFunction>(function));
        const auto length = static_cast<std::uint32_t>(token.size());
        auto made = std::make_unique<FunctionBytes>();
        made->bytes.resize(sizeof length + token.size());
        std::memcpy(made->bytes.data(), &length, sizeof length);
        std::memcpy(made->bytes.data() + sizeof length, token.data(), token.size());
        if (known.compare_exchange_strong(first, made.get(), std::memory_order_acq_rel))
            first = made.release(); // for good: as long as there is the function
    }
    bytes.insert(bytes.end(), first->bytes.begin(), first->bytes.end());
}

const PoolTable& PoolCore::table() const noexcept {
    return impl_->table;
}
std::size_t PoolCore::workers() const noexcept {
    return impl_->view.shape.seats;
}
const PoolOptions& PoolCore::options() const noexcept {
    return impl_->options;
}

std::vector<ProcessHandle> PoolCore::processes() const {
    impl_->check_process();
    const std::scoped_lock hold(impl_->mutex);
    std::vector<ProcessHandle> all;
    for (const Impl::Worker& worker : impl_->workers)
        if (worker.process)
            all.emplace_back(*worker.process);
    return all;
}

std::string PoolCore::to_string() const {
    impl_->check_process();
    const std::scoped_lock hold(impl_->mutex);
    const char* state = "open";
    switch (impl_->life) {
    case Impl::Life::open:
        break;
    case Impl::Life::closed:
        state = "closed";
        break;
    case Impl::Life::terminated:
        state = "terminated";
        break;
    case Impl::Life::broken:
        state = "broken";
        break;
    }
    return fmt::format("<Pool {} workers={} {}, {} unfinished>",
                       multifork::to_string(impl_->method), impl_->workers.size(), state,
                       impl_->unfinished);
}

} // namespace multifork::detail
