#include "pool/thread_impl.hpp"

#include <multifork/pool/future.hpp>

#include <cxxabi.h>
#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <typeinfo>
#include <utility>

// The threads of a pool: how they are started, what they do, and what becomes of a task whose
// thread ends under it.

namespace multifork::detail {
namespace {

constexpr std::size_t system_name_length = 15;

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

bool ThreadCore::Impl::is_here() const noexcept {
    return pool_of_this_thread == this;
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

void ThreadCore::Impl::live(const Self& self, const std::string& name) {
    pool_of_this_thread = this;
    tell_system(name);
    initialise(name);
    work(self, name);
}

void ThreadCore::Impl::leave_the_living() {
    std::erase_if(alive, [](const PoolThread& t) { return t.id == std::this_thread::get_id(); });
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
        const std::scoped_lock hold(mutex);
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
        if (row.empty()) {
            // At once: who puts something into the row of a closed pool counts on the living.
            leave_the_living();
            return;
        }
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
        why = why_dropped(life.load());
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
    std::thread before;
    hand_over(self, again ? task : nullptr, before);
    if (before.joinable())
        before.join(); // so there is never more than one that has ended and is not joined
}

void ThreadCore::Impl::hand_over(const Self& self, const Task& rest, std::thread& before) {
    // In one go: join() must not find nobody before another has taken the place.
    std::unique_lock lock(mutex);
    leave_the_living();
    const auto own = std::find_if(threads.begin(), threads.end(), [](const std::thread& t) {
        return t.get_id() == std::this_thread::get_id();
    });
    before = std::exchange(last_lost, std::move(*own));
    threads.erase(own);
    if (drops()) {
        if (rest != nullptr) {
            --unfinished;
            std::exception_ptr why = why_dropped(life.load());
            lock.unlock();
            rest->drop(std::move(why));
        }
        return;
    }
    if (rest != nullptr) {
        row.push_front(rest);
        more.notify_one(); // perhaps there is no need, or no way, to start another thread
    }
    try {
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

} // namespace multifork::detail
