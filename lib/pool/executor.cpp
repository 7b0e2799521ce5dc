#include <multifork/pool/executor_front.hpp>

#include "platform/immortal.hpp"

#include <multifork/error.hpp>
#include <multifork/process/finalizer.hpp>

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

// The end of the program: what executors still have to do is done, then nothing is begun any more.
//
// As in Python, and for a better reason: a task that still ran while static objects are destroyed
// would use what is gone. The handler is an at_exit() like others; so those that the program
// registered later run before it, and may still use executors.

namespace multifork::detail {
namespace {

struct Running {
    std::weak_ptr<void> core;
    void (*end)(void*) = nullptr;
};

struct Registry {
    std::mutex mutex;
    pid_t owner = 0;   ///< whose the rest is: a forked child finds its parent's
    bool told = false; ///< the handler is registered
    bool over = false; ///< it has run
    std::vector<Running>* running = nullptr;
};
constinit platform::Immortal<Registry> the_registry;

extern "C" void before_fork_of_executors() {
    the_registry->mutex.lock();
}
extern "C" void after_fork_of_executors() {
    the_registry->mutex.unlock();
}
[[gnu::constructor(202)]] void watch_forks() {
    ::pthread_atfork(before_fork_of_executors, after_fork_of_executors, after_fork_of_executors);
}

/// The registry of this process. The mutex is held.
Registry& own() noexcept {
    Registry& registry = *the_registry;
    if (registry.owner != ::getpid()) {
        registry.owner = ::getpid();
        registry.told = registry.over = false;
        registry.running = nullptr; // the parent's, whose threads are not here
    }
    return registry;
}

[[noreturn]] void throw_ending() {
    throw InvalidState("this program is ending: an executor takes no more tasks; submit them "
                       "before main returns or exit() is called");
}

void end_all() {
    std::vector<Running> all;
    {
        const std::scoped_lock hold(the_registry->mutex);
        Registry& registry = own();
        registry.over = true;
        if (registry.running != nullptr)
            all.swap(*registry.running);
    }
    for (const Running& each : all) {
        const auto core = each.core.lock();
        if (core == nullptr)
            continue;
        try {
            each.end(core.get());
        } catch (const WouldDeadlock&) {
            // A task or callback of it has called exit(): what else it has to do is not done.
        }
    }
}

} // namespace

void end_at_exit(std::weak_ptr<void> core, void (*end)(void* core)) {
    const std::scoped_lock hold(the_registry->mutex);
    Registry& registry = own();
    if (registry.over) // since check_executor_process()
        throw_ending();
    if (registry.running == nullptr)
        registry.running = new std::vector<Running>; // never deleted: static destructors ask
    std::erase_if(*registry.running, [](const Running& r) { return r.core.expired(); });
    registry.running->push_back({std::move(core), end});
}

void watch_exit() {
    {
        const std::scoped_lock hold(the_registry->mutex);
        if (std::exchange(own().told, true))
            return;
    }
    at_exit(end_all);
}

void check_executor_process(int owner) {
    if (owner != ::getpid())
        throw ProcessError(std::errc::operation_not_permitted,
                           fmt::format("an executor is used in another process than the one that "
                                       "made it (pid {}); make one in this process",
                                       owner));
    const std::scoped_lock hold(the_registry->mutex);
    if (own().over)
        throw_ending();
}

bool is_this_process(int pid) noexcept {
    return pid == ::getpid();
}
int this_pid() noexcept {
    return ::getpid();
}

void throw_executor_shut() {
    throw InvalidState("the executor was shut down: it takes no more tasks");
}

std::string describe_executor(const char* name, std::int64_t max_workers, bool shut,
                              const std::string& pool) {
    return fmt::format("<{} max_workers={} {}{}{}>", name, max_workers, shut ? "shut down" : "open",
                       pool.empty() ? "" : ": ", pool);
}

std::int64_t checked_max_workers(std::int64_t asked) {
    if (asked < 1)
        throw InvalidArgument(fmt::format("max_workers is {}; it must be greater than 0", asked));
    return asked;
}

std::size_t checked_chunk_size(std::int64_t asked) {
    if (asked < 1)
        throw InvalidArgument(
            fmt::format("chunk_size or buffer_size is {}; it must be at least 1", asked));
    return static_cast<std::size_t>(asked);
}

void throw_map_timed_out(std::size_t handed_out) {
    throw TimedOut(fmt::format("the time of a map() was up after {} results; what had not begun "
                               "was cancelled",
                               handed_out));
}

} // namespace multifork::detail
