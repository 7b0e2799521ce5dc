#include "pool/pool_impl.hpp"

#include <multifork/error.hpp>
#include <multifork/pool/core_budget.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
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
    impl.collector_id = impl.collector.get_id();
    impl.collector_changed.wait(lock, [&] { return impl.collecting; });
    return core;
}

// What users wrote runs on the way: copies of an initializer's arguments, handlers of forks. It may
// need this pool, or wait for somebody who does.
void PoolCore::Impl::start_worker(std::uint32_t seat) {
    core::seat_clear(view, seat);
    {
        const std::scoped_lock hold(mutex);
        workers[seat] = Worker{};
    }
    ProcessOptions how;
    how.name = fmt::format("{}PoolWorker-{}", prefix_of(method), ++workers_named);
    how.daemon = true; // it ends with this process, however that ends
    how.start_method = method;
    Process process = make_worker(std::move(how), table, seat,
                                  options.max_tasks_per_worker
                                      ? static_cast<std::uint64_t>(*options.max_tasks_per_worker)
                                      : 0);
    process.start();
    const std::scoped_lock hold(mutex);
    workers[seat].process.emplace(std::move(process));
}

bool PoolCore::Impl::lacks_workers() const {
    if (!options.start_on_demand)
        return false;
    const auto there = std::count_if(workers.begin(), workers.end(), [](const Worker& w) {
        return w.process.has_value() || w.to_start;
    });
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
    if (impl_->collector_id == std::this_thread::get_id())
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
        if (impl_->collector_id != std::this_thread::get_id())
            join();
    } catch (...) {
        // A destructor has nobody to tell. The workers are daemons.
    }
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
