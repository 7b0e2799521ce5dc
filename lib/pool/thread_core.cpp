#include <multifork/pool/thread_core.hpp>

#include <multifork/error.hpp>
#include <multifork/pool/error.hpp>
#include <multifork/pool/future.hpp>

#include <cxxabi.h>
#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <mutex>
#include <string>
#include <system_error>
#include <typeinfo>
#include <utility>

// Threads that take tasks from one row.
//
// All that they share lies under one mutex, but for two words that are asked in between: how many
// tasks are unfinished, and whether to go on with a task that has many turns. A task is counted as
// finished before its future is ready: who waits for each task before the next one needs no second
// thread.

namespace multifork::detail {
namespace {

constexpr std::int64_t most_threads = 4096;
constexpr std::size_t system_name_length = 15;

constinit std::atomic<unsigned> pools_named{0};
constinit thread_local const void* pool_of_this_thread = nullptr;

/// "ThreadPoolExecutor-12_3" is too long for the system; its end says more than its beginning.
void tell_system(const std::string& name) {
    std::string shown = name;
    if (shown.size() > system_name_length) {
        const std::size_t last = std::min(shown.rfind('_'), shown.size());
        const std::string end = shown.substr(std::max(last, shown.size() - system_name_length));
        shown = shown.substr(0, system_name_length - end.size()) + end;
    }
    ::pthread_setname_np(::pthread_self(), shown.c_str());
}

/// "std::runtime_error: no such host"
std::string tell_current_exception() {
    const std::type_info* const type = abi::__cxa_current_exception_type();
    const std::string name = type == nullptr ? "an exception" : type_name(*type);
    try {
        throw;
    } catch (const std::exception& error) {
        return fmt::format("{}: {}", name, error.what());
    } catch (...) {
        return name;
    }
}

} // namespace

ThreadTask::~ThreadTask() = default;

std::string numbered_pool_name() {
    return fmt::format("ThreadPool-{}", ++pools_named);
}

struct ThreadCore::Impl {
    enum class Life : std::uint8_t { open, closed, terminated, broken };
    using Task = std::shared_ptr<ThreadTask>;
    using Self = std::shared_ptr<ThreadCore>;

    explicit Impl(ThreadCoreOptions the_options) : options(std::move(the_options)) {}

    // Constant:
    const ThreadCoreOptions options;
    const int owner_pid = ::getpid();
    const std::size_t most = static_cast<std::size_t>(options.threads);

    // Written under the mutex:
    mutable std::mutex mutex;
    std::condition_variable more;  ///< tasks, or another life
    std::condition_variable fewer; ///< threads
    std::atomic<Life> life{Life::open};
    std::string why_broken;
    std::deque<Task> row;
    std::vector<std::thread> threads; ///< also those that have ended, until they are joined
    std::vector<PoolThread> alive;
    std::size_t started = 0;
    std::atomic<std::size_t> unfinished{0}; ///< grows under the mutex

    void check_process() const {
        if (owner_pid != ::getpid())
            throw ProcessError(std::errc::operation_not_permitted,
                               fmt::format("a pool of threads is used in another process than the "
                                           "one that made it (pid {}), which alone has them; make "
                                           "one in this process",
                                           owner_pid));
    }
    void check_open_locked() const {
        switch (life.load()) {
        case Life::open:
            break;
        case Life::closed:
            throw InvalidState("the pool was closed: it takes no more tasks");
        case Life::terminated:
            throw InvalidState("the pool was terminated: it takes no more tasks");
        case Life::broken:
            throw BrokenThreadPool(why_broken);
        }
    }
    /// Why a task is not begun, or not gone on with. Under the mutex.
    [[nodiscard]] std::exception_ptr why_dropped() const {
        if (life.load() == Life::broken)
            return std::make_exception_ptr(BrokenThreadPool(why_broken));
        return std::make_exception_ptr(
            Cancelled("the pool was terminated before this task was done"));
    }
    [[nodiscard]] bool drops() const { return life.load() >= Life::terminated; }

    // ---- under the mutex
    void start_thread(const Self& self);
    /// As many as there is work for. \throws BrokenThreadPool when there is none at all
    void start_missing(const Self& self);
    /// Unlocks. What waits in the row fails.
    void end_life(Life how, std::unique_lock<std::mutex>& lock);

    // ---- a thread
    void live(const Self& self, const std::string& name);
    void initialise(const std::string& name);
    void work(const Self& self, const std::string& name);
    void run(const Self& self, const Task& task, const std::string& name);
    void lost(const Self& self, const Task& task, const std::string& name);
    void leave_the_living();
};

ThreadCore::ThreadCore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ThreadCore::~ThreadCore() {
    if (impl_->owner_pid != ::getpid()) {
        static_cast<void>(impl_.release()); // a copy in a child: its threads are not there
        return;
    }
    for (std::thread& thread : impl_->threads)
        thread.detach(); // nobody has joined, and this is the last of them at its very end
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

void ThreadCore::Impl::start_thread(const Self& self) {
    const std::string name = fmt::format("{}_{}", options.name, started);
    threads.reserve(threads.size() + 1);
    alive.reserve(alive.size() + 1);
    try {
        threads.emplace_back([self, name] { self->impl_->live(self, name); });
    } catch (const std::system_error& error) {
        throw BrokenThreadPool(
            fmt::format("thread {} of a pool cannot be started: {}", name, error.what()));
    }
    alive.push_back({name, threads.back().get_id()});
    ++started;
}

void ThreadCore::Impl::start_missing(const Self& self) {
    try {
        while (alive.size() < std::min(unfinished.load(), most))
            start_thread(self);
    } catch (const BrokenThreadPool&) {
        if (alive.empty())
            throw;
        // Those that are there do the work.
    }
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

// ---- a thread

void ThreadCore::Impl::live(const Self& self, const std::string& name) {
    pool_of_this_thread = this;
    tell_system(name);
    initialise(name);
    work(self, name);
    leave_the_living();
}

void ThreadCore::Impl::leave_the_living() {
    {
        const std::scoped_lock hold(mutex);
        std::erase_if(alive,
                      [](const PoolThread& t) { return t.id == std::this_thread::get_id(); });
    }
    fewer.notify_all();
}

void ThreadCore::Impl::initialise(const std::string& name) {
    if (!options.initializer)
        return;
    const auto broken_by = [&](const std::string& what) {
        std::unique_lock lock(mutex);
        if (drops())
            return;
        why_broken =
            fmt::format("the initializer of a pool of threads {} in {}; every thread would "
                        "do the same, so the pool is broken",
                        what, name);
        end_life(Life::broken, lock);
    };
    try {
        options.initializer();
    } catch (const abi::__forced_unwind&) {
        broken_by("ended its thread");
        leave_the_living();
        throw;
    } catch (...) {
        broken_by("threw " + tell_current_exception());
    }
}

void ThreadCore::Impl::work(const Self& self, const std::string& name) {
    std::unique_lock lock(mutex);
    for (;;) {
        more.wait(lock, [this] { return !row.empty() || life.load() != Life::open; });
        if (row.empty())
            return;
        Task task = std::move(row.front());
        row.pop_front();
        lock.unlock();
        run(self, task, name);
        task.reset();
        lock.lock();
    }
}

void ThreadCore::Impl::run(const Self& self, const Task& task, const std::string& name) {
    bool again = true;
    while (again && !drops()) {
        try {
            again = task->run();
        } catch (const abi::__forced_unwind&) {
            lost(self, task, name);
            throw; // pthread_exit(): the thread ends, whatever we think of it
        } catch (...) {
            again = task->failed(std::current_exception());
        }
    }
    --unfinished; // before anybody hears of it
    if (!again) {
        task->tell();
        return;
    }
    std::exception_ptr why;
    {
        const std::scoped_lock hold(mutex);
        why = why_dropped();
    }
    task->drop(std::move(why));
}

void ThreadCore::Impl::lost(const Self& self, const Task& task, const std::string& name) {
    WorkerEnd end;
    end.name = name;
    end.pid = owner_pid;
    const bool again = task->failed(std::make_exception_ptr(WorkerDied(
        end, fmt::format("{}, a thread of a pool, ended while it ran a task, which called "
                         "pthread_exit() or was cancelled; the task has failed, the pool goes on",
                         name))));
    if (!again) {
        --unfinished;
        task->tell();
    }
    leave_the_living();
    std::unique_lock lock(mutex);
    if (drops()) {
        if (again) {
            --unfinished;
            std::exception_ptr why = why_dropped();
            lock.unlock();
            task->drop(std::move(why));
        }
        return;
    }
    try {
        if (again)
            row.push_front(task); // it has more to do
        if (options.on_demand)
            start_missing(self);
        else if (life.load() == Life::open || !row.empty())
            start_thread(self);
    } catch (const BrokenThreadPool& error) {
        if (!alive.empty())
            return;
        why_broken = error.what();
        end_life(Life::broken, lock);
    }
}

// ---- ends

void ThreadCore::Impl::end_life(Life how, std::unique_lock<std::mutex>& lock) {
    life = how;
    std::deque<Task> dropped;
    dropped.swap(row);
    unfinished -= dropped.size();
    const std::exception_ptr why = why_dropped();
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
    if (pool_of_this_thread == impl_.get())
        throw WouldDeadlock("join() of a pool of threads in one of these threads");
    impl_->fewer.wait(lock, [this] { return impl_->alive.empty(); });
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
        if (pool_of_this_thread != impl_.get())
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
