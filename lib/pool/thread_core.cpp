#include "pool/thread_impl.hpp"

#include <multifork/error.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <iterator>
#include <utility>

namespace multifork::detail {
namespace {

constexpr std::int64_t most_threads = 4096;

constinit std::atomic<unsigned> pools_named{0};

} // namespace

ThreadTask::~ThreadTask() = default;

std::string numbered_pool_name(const char* kind) {
    return fmt::format("{}-{}", kind, ++pools_named);
}

ThreadCore::ThreadCore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ThreadCore::~ThreadCore() {
    if (impl_->owner_pid != ::getpid()) {
        static_cast<void>(impl_.release()); // a copy in a child: its threads are not there
        return;
    }
    for (std::thread& thread : impl_->threads)
        thread.detach(); // nobody has joined, and this is the last of them at its very end
    if (impl_->last_lost.joinable())
        impl_->last_lost.detach();
}

std::shared_ptr<ThreadCore> ThreadCore::start(ThreadCoreOptions options) {
    if (options.threads < 1 || options.threads > most_threads)
        throw InvalidArgument(fmt::format("a pool of {} threads was asked for; it needs at least 1 "
                                          "and at most {}",
                                          options.threads, most_threads));
    std::shared_ptr<ThreadCore> core(new ThreadCore(std::make_unique<Impl>(std::move(options))));
    Impl& impl = *core->impl_;
    if (!impl.options.on_demand) {
        try {
            const std::scoped_lock hold(impl.mutex);
            while (impl.alive.size() < impl.most)
                impl.start_thread(core);
        } catch (...) {
            core->leave();
            throw;
        }
    }
    return core;
}

void ThreadCore::check_open() const {
    impl_->check_process();
    const std::scoped_lock hold(impl_->mutex);
    impl_->check_open_locked();
}

void ThreadCore::submit(std::shared_ptr<ThreadTask> task) {
    std::vector<std::shared_ptr<ThreadTask>> one;
    one.push_back(std::move(task));
    submit(std::move(one));
}

void ThreadCore::submit(std::vector<std::shared_ptr<ThreadTask>> tasks) {
    impl_->check_process();
    const std::size_t count = tasks.size();
    {
        const std::scoped_lock hold(impl_->mutex);
        impl_->check_open_locked();
        impl_->unfinished += count;
        try {
            if (impl_->options.on_demand)
                impl_->start_missing(shared_from_this());
            impl_->row.insert(impl_->row.end(), std::make_move_iterator(tasks.begin()),
                              std::make_move_iterator(tasks.end()));
        } catch (...) {
            impl_->unfinished -= count;
            throw;
        }
    }
    if (count == 1)
        impl_->more.notify_one();
    else
        impl_->more.notify_all();
}

std::vector<std::shared_ptr<ThreadTask>> ThreadCore::waiting() const {
    impl_->check_process();
    const std::scoped_lock hold(impl_->mutex);
    return {impl_->row.begin(), impl_->row.end()};
}

// ---- ends

void ThreadCore::Impl::end_life(Life how, std::unique_lock<std::mutex>& lock) {
    const std::exception_ptr why = why_dropped(how); // may throw: then nothing has ended
    std::deque<Task> dropped;
    life = how;
    dropped.swap(row);
    unfinished -= dropped.size();
    lock.unlock();
    more.notify_all();
    for (const Task& task : dropped)
        task->drop(why);
}

void ThreadCore::close() {
    impl_->check_process();
    {
        const std::scoped_lock hold(impl_->mutex);
        if (impl_->life.load() == Impl::Life::open)
            impl_->life = Impl::Life::closed;
    }
    impl_->more.notify_all();
}

void ThreadCore::terminate() {
    impl_->check_process();
    std::unique_lock lock(impl_->mutex);
    if (!impl_->drops())
        impl_->end_life(Impl::Life::terminated, lock);
}

void ThreadCore::join() {
    impl_->check_process();
    std::unique_lock lock(impl_->mutex);
    if (impl_->life.load() == Impl::Life::open)
        throw InvalidState("join() of a pool that is open: it would wait for ever; close() or "
                           "terminate() it first");
    if (impl_->is_here())
        throw WouldDeadlock("join() of a pool of threads in one of these threads");
    impl_->fewer.wait(lock, [this] { return impl_->alive.empty(); });
    if (impl_->last_lost.joinable())
        impl_->threads.push_back(std::move(impl_->last_lost));
    std::vector<std::thread> ended = std::exchange(impl_->threads, {});
    lock.unlock();
    for (std::thread& thread : ended)
        thread.join();
}

void ThreadCore::leave() noexcept {
    if (impl_->owner_pid != ::getpid())
        return;
    try {
        terminate();
        if (!impl_->is_here())
            join();
    } catch (...) {
        // A destructor has nobody to tell.
    }
}

std::size_t ThreadCore::workers() const noexcept {
    return impl_->most;
}

std::vector<PoolThread> ThreadCore::threads() const {
    impl_->check_process();
    const std::scoped_lock hold(impl_->mutex);
    return impl_->alive;
}

std::string ThreadCore::to_string() const {
    impl_->check_process();
    static constexpr std::array names{"open", "closed", "terminated", "broken"};
    return fmt::format("<ThreadPool {} workers={} {}, {} unfinished>", impl_->options.name,
                       impl_->most, names.at(static_cast<std::size_t>(impl_->life.load())),
                       impl_->unfinished.load());
}

} // namespace multifork::detail
