#include "channel/lookout.hpp"
#include "platform/own_threads.hpp"

#include <multifork/error.hpp>
#include <multifork/platform/mutant.hpp>

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <functional>
#include <future>
#include <list>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

// The lookouts: threads that watch what lies in shared memory and show it by descriptors. One for
// each space (a thread that operates in one space rings the bell of that one when it dies), started
// when there is something to watch, ended when there is not.
//
// A watch is armed until it is shown: then its eventfd is readable, and nobody sleeps for it until
// rearm(). So two lookouts cannot send the same wake-up back and forth.

namespace multifork::detail {
namespace {

constexpr std::size_t most_at_once = 30; // a sleeper can name 128 words
constexpr std::int64_t look_again_ns = 10'000'000;

struct Lookout {
    explicit Lookout(liveness::Domain& d) noexcept : domain(d) {}
    liveness::Domain& domain;
    std::vector<std::shared_ptr<Watch>> watches; // under the mutex of all
    std::atomic<std::uint32_t> changes{0}; // + 1 when watches changed; the thread sleeps on it
};

constinit std::mutex watching; // for all that is here; held over forks
constinit std::list<Lookout>* the_lookouts = nullptr;

std::list<Lookout>& lookouts() {
    if (the_lookouts == nullptr)
        the_lookouts = new std::list<Lookout>; // never deleted: threads outlive static objects
    return *the_lookouts;
}

void show(Watch& watch) noexcept {
    watch.armed = false;
    const std::uint64_t one = 1;
    // An eventfd takes it, unless somebody wrote 2^64 - 2 there.
    static_cast<void>(!::write(watch.event.get(), &one, sizeof one));
}

void tell(Lookout& lookout) noexcept {
    lookout.changes.fetch_add(1);
    platform::futex_wake(lookout.changes, platform::wake_everybody);
}

using Watches = std::vector<std::shared_ptr<Watch>>;

/// One sleep for all that is armed. \return whether to go on
bool look_and_sleep(Lookout& lookout) {
    const std::uint32_t changes = lookout.changes.load();
    Watches armed; // they keep the space alive as well
    {
        const std::scoped_lock hold(watching);
        if (lookout.watches.empty())
            return false;
        armed = lookout.watches;
    }
    static_cast<void>(liveness::enter(lookout.domain));
    liveness::Sleep sleep(lookout.domain);
    HeldSources held;
    {
        const std::scoped_lock hold(watching);
        std::erase_if(armed, [&](const auto& watch) {
            if (!watch->armed)
                return true;
            // What was closed is ready: whoever looks at it learns that.
            const bool open = held.hold(watch->source);
            if (!open || watch->source->ready())
                show(*watch);
            return !watch->armed;
        });
    }
    sleep.while_equal(lookout.changes, changes);
    bool tick = armed.size() > most_at_once;
    const std::size_t named = std::min(armed.size(), most_at_once);
    bool may_be_ready = false;
    for (std::size_t i = 0; i < named; ++i)
        may_be_ready = !armed[i]->source->arm(sleep) || may_be_ready;
    for (std::size_t i = 0; i < named; ++i)
        may_be_ready = !armed[i]->source->arm_peers(sleep, tick) || may_be_ready;
    if (may_be_ready)
        return true;
    const auto until = tick || sleep.full()
                           ? platform::Deadline::after(std::chrono::nanoseconds(look_again_ns))
                           : platform::Deadline::never();
    if (!sleep.wait(until).slept)
        return true;
    for (std::size_t i = 0; i < named; ++i) {
        armed[i]->source->slept();
        if (armed[i]->source->ready())
            armed[i]->source->pass_on();
    }
    return true;
}

void show_all(Lookout& lookout) noexcept {
    const std::scoped_lock hold(watching);
    for (const auto& watch : lookout.watches)
        if (watch->armed)
            show(*watch);
}

void keep_watch(Lookout& lookout, std::promise<void> known) {
    const platform::OwnThread own; // what it holds, `watching`, is held over forks
    known.set_value();
    ::prctl(PR_SET_NAME, "multifork-watch");
    for (;;) {
        try {
            if (look_and_sleep(lookout))
                continue;
        } catch (const std::exception&) {
            // No thread slot, no memory, or some that was overwritten: show all, so that whoever
            // waits finds out for himself, and look again later.
            show_all(lookout);
            std::this_thread::sleep_for(std::chrono::nanoseconds(look_again_ns));
        }
        const std::scoped_lock hold(watching);
        if (!lookout.watches.empty())
            continue; // somebody came meanwhile
        lookouts().remove_if([&](const Lookout& other) { return &other == &lookout; });
        return;
    }
}

/// Starts a thread that gets no signals: they are for the program's own. When this returns, a fork
/// does not take it for one of the program's any more.
void start(Lookout& lookout) {
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        std::promise<void> known;
        std::future<void> is_known = known.get_future();
        std::thread(keep_watch, std::ref(lookout), std::move(known)).detach();
        is_known.wait();
    } catch (const std::system_error& error) {
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw Error(error.code(), "no thread left to watch shared memory: end some others");
    } catch (...) {
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

extern "C" void hold_lookouts_for_fork() {
    if (!MULTIFORK_MUTANT(lookouts_unheld))
        watching.lock();
}
extern "C" void let_lookouts_go() {
    if (!MULTIFORK_MUTANT(lookouts_unheld))
        watching.unlock();
}
extern "C" void forget_lookouts_in_child() {
    // The threads are the parent's, and so are the descriptors' readers.
    if (the_lookouts != nullptr)
        the_lookouts->clear();
    if (!MULTIFORK_MUTANT(lookouts_unheld))
        watching.unlock();
}

// After those of the lower floors (200): so they run first before a fork, and last after it.
[[gnu::constructor(202)]] void watch_forks() {
    ::pthread_atfork(hold_lookouts_for_fork, let_lookouts_go, forget_lookouts_in_child);
}

} // namespace

std::shared_ptr<Watch> watch(std::shared_ptr<Source> source) {
    auto made = std::make_shared<Watch>();
    liveness::Domain& domain = source->domain();
    made->source = std::move(source);
    made->event = platform::Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!made->event)
        platform::throw_errno("making a descriptor that shows what is ready");
    made->pid = platform::process_id();
    made->armed = true;
    const std::scoped_lock hold(watching);
    auto& all = lookouts();
    auto lookout = std::find_if(all.begin(), all.end(),
                                [&](const Lookout& known) { return &known.domain == &domain; });
    if (lookout != all.end()) {
        lookout->watches.push_back(made);
        tell(*lookout);
        return made;
    }
    all.emplace_back(domain);
    all.back().watches.push_back(made);
    try {
        start(all.back());
    } catch (...) {
        all.pop_back();
        throw;
    }
    return made;
}

void rearm(const std::shared_ptr<Watch>& watch) {
    if (watch->pid != platform::process_id())
        throw Error(std::errc::operation_not_permitted,
                    "this Readiness was made by the parent of this process; make one here");
    const std::scoped_lock hold(watching);
    std::uint64_t count = 0;
    static_cast<void>(!::read(watch->event.get(), &count, sizeof count)); // clears it
    watch->armed = true;
    for (Lookout& lookout : lookouts())
        if (&lookout.domain == &watch->source->domain())
            tell(lookout);
}

void unwatch(const std::shared_ptr<Watch>& watch) noexcept {
    if (watch->pid != platform::process_id())
        return;
    const std::scoped_lock hold(watching);
    for (Lookout& lookout : lookouts())
        if (std::erase(lookout.watches, watch) != 0)
            tell(lookout);
}

} // namespace multifork::detail
