#include <multifork/process/finalizer.hpp>

#include "platform/immortal.hpp"

#include <multifork/error.hpp>
#include <multifork/process/this_process.hpp>

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <mutex>

// The exit handlers of this process, in the order in which they are to run.
//
// Whoever runs or drops one first takes it out, under the mutex, and so is the only one that has
// it; it runs, and is destroyed, without the mutex.
//
// A forked child finds its parent's. They are neither run nor destroyed there: the destructor of
// what one has captured may wait for a thread that the child does not have. They are left where
// they are, in memory that nobody names any more.

namespace multifork {
namespace {

using detail::ExitHandler;

struct Turn {
    int priority = 0;
    std::uint64_t number = 0;
    /// Which is to run first.
    friend bool operator<(const Turn& a, const Turn& b) noexcept {
        return a.priority != b.priority ? a.priority > b.priority : a.number > b.number;
    }
};
using Handlers = std::map<Turn, std::unique_ptr<ExitHandler>>;

struct Registry {
    std::mutex mutex;
    pid_t owner = 0;
    bool at_exit = false; ///< std::atexit() knows of the handlers below
    std::uint64_t numbers = 0;
    Handlers* handlers = nullptr; ///< of `owner`
};

constinit platform::Immortal<Registry> the_registry;

extern "C" void before_fork_of_finalizers() {
    the_registry->mutex.lock();
}
extern "C" void after_fork_of_finalizers() {
    the_registry->mutex.unlock();
}

[[gnu::constructor(202)]] void watch_forks() {
    ::pthread_atfork(before_fork_of_finalizers, after_fork_of_finalizers, after_fork_of_finalizers);
}

/// This process's own. The mutex is held. \return null when there are none
Handlers* own() noexcept {
    Registry& registry = *the_registry;
    if (registry.owner != ::getpid()) {
        registry.owner = ::getpid();
        registry.at_exit = false;
        registry.handlers = nullptr;
    }
    return registry.handlers;
}

std::unique_ptr<ExitHandler> take(const Turn& turn) noexcept {
    const std::scoped_lock hold(the_registry->mutex);
    Handlers* const mine = own();
    if (mine == nullptr)
        return nullptr;
    const auto found = mine->find(turn);
    if (found == mine->end())
        return nullptr;
    auto handler = std::move(found->second);
    mine->erase(found);
    return handler;
}

std::unique_ptr<ExitHandler> take_first() noexcept {
    const std::scoped_lock hold(the_registry->mutex);
    Handlers* const mine = own();
    if (mine == nullptr || mine->empty())
        return nullptr;
    auto handler = std::move(mine->begin()->second);
    mine->erase(mine->begin());
    return handler;
}

void complain(const char* what) noexcept {
    try {
        fmt::print(stderr, "{} (pid {}): an exit handler threw{}{}\n", this_process::name(),
                   ::getpid(), *what != '\0' ? ": " : "", what);
    } catch (...) {
        // stderr is closed: nobody can be told
    }
}

void run_at_exit() {
    {
        const std::scoped_lock hold(the_registry->mutex);
        static_cast<void>(own());
        the_registry->at_exit = false; // what is registered after this run needs another
    }
    detail::run_exit_handlers();
}

} // namespace

namespace detail {

Finalizer register_exit_handler(std::unique_ptr<ExitHandler> handler, int priority) {
    Registry& registry = *the_registry;
    const std::scoped_lock hold(registry.mutex);
    if (own() == nullptr)
        registry.handlers = new Handlers; // never deleted: exit handlers of any order may ask
    if (!registry.at_exit) {
        if (std::atexit(run_at_exit) != 0)
            throw Error(std::errc::not_enough_memory,
                        "at_exit() when atexit() has no room for another function");
        registry.at_exit = true;
    }
    const Turn turn{priority, ++registry.numbers};
    registry.handlers->emplace(turn, std::move(handler));
    return {turn.priority, turn.number};
}

void run_exit_handlers() noexcept {
    while (const auto handler = take_first()) {
        try {
            (*handler)();
        } catch (const std::exception& error) {
            complain(error.what());
        } catch (...) {
            complain("");
        }
    }
}

} // namespace detail

bool Finalizer::run() {
    const auto handler = take({priority_, number_});
    if (!handler)
        return false;
    (*handler)();
    return true;
}

bool Finalizer::cancel() noexcept {
    return take({priority_, number_}) != nullptr;
}

bool Finalizer::active() const noexcept {
    const std::scoped_lock hold(the_registry->mutex);
    const Handlers* const mine = own();
    return mine != nullptr && mine->contains({priority_, number_});
}

} // namespace multifork
