#include "liveness/registry.hpp"
#include "platform/futex.hpp"
#include "platform/immortal.hpp"
#include "platform/robust_list.hpp"
#include "platform/system.hpp"

#include <multifork/error.hpp>
#include <multifork/liveness/domain.hpp>
#include <multifork/platform/mutant.hpp>

#include <fmt/core.h>
#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <mutex>

namespace multifork::liveness {
namespace {

using platform::futex_owner_died;
using platform::futex_waiters;

// What a thread without seats sees: nobody everywhere, so that enter() needs no check for a null
// pointer.
constinit std::array<Seat, max_domains + 1> no_seats{};
void* nowhere = nullptr;

/// The calling thread's; found out with its seats, because a child may be in another one.
thread_local std::uint64_t pid_namespace = 0;
/// The process whose thread prepared its seats; a forked child reads its parent's number.
thread_local std::uint32_t prepared_by = 0;

// The first seat is no seat: it says which process the page belongs to, and reads 0 in a forked
// child.
constexpr std::size_t page_owner = 0;
constexpr std::size_t seats_bytes = (max_domains + 1) * sizeof(Seat);

struct Domains {
    std::mutex mutex;
    std::array<Domain*, max_domains + 1> open{}; // by index, from 1 on
    std::atomic<std::size_t> used{1};            // no index at or above it was ever given
    std::atomic<std::uint32_t> closing{0};       // domains that wait for their threads to leave
};

constinit platform::Immortal<Domains> all_domains; // threads leave after static destructors

Domains& domains() noexcept {
    return *all_domains;
}

extern "C" void leave_at_thread_exit(void*) {
    detach_this_thread();
}

void detach_at_thread_exit() {
    // A pthread key and not a thread_local destructor: keys run after those, when the thread's own
    // objects no longer lock anything, and run again if the thread attached once more meanwhile.
    constexpr std::uint64_t none = ~std::uint64_t{0};
    static constinit std::atomic<std::uint64_t> the_key{none};
    std::uint64_t key = the_key.load();
    if (key == none) {
        // Several threads may make one; the first one counts. No lock, because a fork could keep
        // it.
        pthread_key_t made{};
        if (::pthread_key_create(&made, leave_at_thread_exit) != 0)
            throw Error(std::errc::resource_unavailable_try_again,
                        "no pthread key left: close some libraries that use thread-local data");
        if (the_key.compare_exchange_strong(key, made))
            key = made;
        else
            ::pthread_key_delete(made);
    }
    if (const int error = ::pthread_setspecific(static_cast<pthread_key_t>(key), this_thread.seats);
        error != 0)
        throw Error(static_cast<std::errc>(error), "no memory for thread-local data");
}

platform::RobustHead& head_of_this_thread() {
    return *reinterpret_cast<platform::RobustHead*>(
        reinterpret_cast<char*>(this_thread.op_pending) -
        offsetof(platform::RobustHead, op_pending));
}

/// Makes this thread's page of seats, or finds out that a fork wiped it.
void prepare_thread() {
    if (this_thread.seats[page_owner].me == platform::process_id())
        return;
    platform::RobustHead* head = platform::own_robust_head();
    if (head == nullptr)
        throw Error(std::errc::not_supported,
                    "this C library keeps its robust futex list in a form that is not known here; "
                    "multifork runs with glibc on 64-bit Linux");
    head->op_pending = nullptr; // a forked child inherits what its parent was about to do
    if (this_thread.seats == no_seats.data()) {
        void* page = ::mmap(nullptr, seats_bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED)
            platform::throw_errno("mapping a thread's seats");
        if (::madvise(page, seats_bytes, MADV_WIPEONFORK) != 0) {
            ::munmap(page, seats_bytes);
            platform::throw_errno("MADV_WIPEONFORK (Linux 4.14)");
        }
        this_thread.seats = static_cast<Seat*>(page);
    }
    this_thread.op_pending = &head->op_pending;
    detach_at_thread_exit();
    pid_namespace = platform::pid_namespace();
    prepared_by = platform::process_id();
    this_thread.seats[page_owner].me = platform::process_id(); // last: all the rest is done
}

/// Tries to take one slot; the thread may die at any instruction of it.
bool claim(Registry& registry, std::uint32_t slot, ThreadWord& name) {
    Beacon& beacon = registry.beacons()[slot];
    const std::uint32_t found = beacon.node.word.load(std::memory_order_relaxed);
    const bool dead = found == (futex_owner_died | futex_waiters);
    if (found != 0 && !dead)
        return false;

    platform::RobustHead& head = head_of_this_thread();
    const std::uint32_t tid = platform::thread_id();
    head.op_pending = platform::robust_entry(beacon.node);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    std::uint32_t expected = found;
    // Death from here on leaves DIED|WAITERS, by op_pending: the slot can be taken again.
    if (!beacon.node.word.compare_exchange_strong(expected,
                                                  tid | futex_owner_died | futex_waiters)) {
        head.op_pending = nullptr;
        return false;
    }
    if (dead)
        registry.deaths.fetch_add(1, std::memory_order_relaxed); // a counter; nothing hangs on it
    // While the word says DIED nobody believes any name of this slot, old or new.
    const std::uint64_t generation = beacon.generation.load(std::memory_order_relaxed) + 1;
    beacon.generation.store(generation, std::memory_order_relaxed); // published by the word below
    beacon.pid.store(platform::process_id(), std::memory_order_relaxed);
    beacon.pid_namespace.store(pid_namespace, std::memory_order_relaxed);
    beacon.holdings.store(0, std::memory_order_relaxed);
    if (MULTIFORK_MUTANT(publish_early)) {
        head.op_pending = nullptr;
        beacon.node.word.store(tid | futex_waiters, std::memory_order_release);
    }
    platform::robust_link(head, beacon.node);
    // release: pairs with is_alive(). Death from here on marks the word, by the list.
    beacon.node.word.store(tid | futex_waiters, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    // Who left this slot may have been killed between its store of 0 and its wake-up, and the
    // kernel may come to its beacon only now: it finds another thread's word there and wakes
    // nobody. Death before this wake-up marks the word, and the kernel wakes one, who relays.
    if (!dead && generation > 1 && !MULTIFORK_MUTANT(wake_no_leftover))
        platform::futex_wake(beacon.node.word, platform::wake_everybody);
    head.op_pending = nullptr;
    name = make_thread_word(slot, generation);
    return true;
}

bool claim_between(Registry& registry, std::uint32_t from, std::uint32_t to, ThreadWord& name) {
    for (std::uint32_t slot = from; slot < to; ++slot)
        if (claim(registry, slot, name)) {
            registry.hint.store(slot + 1, std::memory_order_relaxed);
            return true;
        }
    return false;
}

ThreadWord take_slot(Domain& domain) {
    Registry& registry = domain.registry();
    const std::uint32_t capacity = domain.capacity();
    ThreadWord name = nobody;
    // Used slots first, so that the registry stays small in memory; the hint saves most of the
    // looking.
    const std::uint32_t used =
        std::min(registry.high_water.load(std::memory_order_relaxed), capacity);
    const std::uint32_t hint = std::min(registry.hint.load(std::memory_order_relaxed), used);
    if (claim_between(registry, hint, used, name) || claim_between(registry, 0, hint, name))
        return name;
    for (std::uint32_t slot = used; slot < capacity; ++slot) {
        // The water rises before the slot is used: no survivor overlooks a slot.
        std::uint32_t water = registry.high_water.load(std::memory_order_relaxed);
        while (water < slot + 1 && !registry.high_water.compare_exchange_weak(water, slot + 1)) {
        }
        if (claim(registry, slot, name))
            return name;
    }
    throw TooManyThreads(fmt::format("all {} thread slots of this shared memory are taken; end "
                                     "some threads or processes, or make it "
                                     "with more slots",
                                     capacity));
}

void leave(Domain& domain, Seat& seat) noexcept {
    Registry& registry = domain.registry();
    Beacon& beacon = registry.beacons()[slot_of(seat.me)];
    platform::RobustHead& head = head_of_this_thread();
    if (domain.on_leave != nullptr)
        domain.on_leave(domain, seat.me);
    // Others may sleep for what this thread still holds, and not on its beacon. They are told
    // before the word changes, while death rings the bell: those who sleep on afterwards do
    // so on the beacon.
    const bool holds = beacon.holdings.load(std::memory_order_relaxed) != 0;
    if (holds) {
        head.op_pending = seat.bell;
        std::atomic_signal_fence(std::memory_order_seq_cst);
        relay(registry);
    }
    head.op_pending = platform::robust_entry(beacon.node);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    const bool unlinked = platform::robust_unlink(head, beacon.node);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    beacon.node.word.store(0); // free, and to whoever waits for what this thread held: it is gone
    // The thread may take the same slot again, and the word would look as before to a sleeper that
    // has seen it and is about to arm: the epoch tells it. Those that sleep already sleep on the
    // word, and are woken; and so, by the relay, are those that could not name it, having named as
    // many as they can.
    if (holds)
        relay(registry);
    else if (!MULTIFORK_MUTANT(silent_return))
        registry.relay.fetch_add(1);
    platform::futex_wake(beacon.node.word, platform::wake_everybody);
    head.op_pending = nullptr;
    registry.hint.store(slot_of(seat.me), std::memory_order_relaxed);
    seat = {};
    // Else the thread's list still runs through the segment, which is then never unmapped.
    if (unlinked)
        domain.release();
}

/// Leaves every domain of the calling thread that `wanted` holds for.
template <class Predicate>
void leave_where(Predicate wanted) noexcept {
    Domains& all = domains();
    for (std::size_t i = 1; i < all.used.load(std::memory_order_relaxed); ++i) {
        Seat& seat = this_thread.seats[i];
        if (seat.me == nobody)
            continue;
        Domain* domain = nullptr;
        {
            const std::scoped_lock hold(all.mutex);
            domain = all.open[i];
        }
        if (domain != nullptr && wanted(*domain))
            leave(*domain, seat);
    }
}

} // namespace

constinit thread_local ThreadSeats this_thread{no_seats.data(), &nowhere};

Domain::Domain(Registry& registry, std::uint32_t capacity)
    : registry_(registry), capacity_(capacity), index_(1) {
    Domains& all = domains();
    const std::scoped_lock hold(all.mutex);
    while (index_ <= max_domains && all.open[index_] != nullptr)
        ++index_;
    if (index_ > max_domains)
        throw TooManyThreads(fmt::format(
            "this process has {} shared segments open; drop some named objects", max_domains));
    all.open[index_] = this;
    all.used = std::max<std::size_t>(all.used, index_ + 1);
}

Domain::~Domain() {
    Domains& all = domains();
    const std::scoped_lock hold(all.mutex);
    all.open[index_] = nullptr;
}

void Domain::close() noexcept {
    domains().closing.fetch_add(1);
    closing = true;
    detach(*this);
    release();
}

void Domain::release() noexcept {
    if (attached.fetch_sub(1) != 1)
        return;
    domains().closing.fetch_sub(1);
    if (on_unused != nullptr)
        on_unused(*this);
}

void before_fork() {
    if (!MULTIFORK_MUTANT(domains_unheld))
        domains().mutex.lock();
}

void after_fork_in_parent() noexcept {
    if (!MULTIFORK_MUTANT(domains_unheld))
        domains().mutex.unlock();
}

void after_fork_in_child() noexcept {
    if (!MULTIFORK_MUTANT(domains_unheld))
        domains().mutex.unlock(); // taken in the parent's prepare handler by this very thread
    *this_thread.op_pending = nullptr;
    for (Domain* domain : domains().open) {
        if (domain == nullptr)
            continue;
        // One that is closing waits for the parent's threads, of which none are here.
        domain->attached = 1;
        if (domain->closing.load())
            domain->release();
    }
}

ThreadWord attach(Domain& domain) {
    prepare_thread();
    // relaxed: a hint; the next attach looks again
    if (domains().closing.load(std::memory_order_relaxed) != 0)
        leave_where([](const Domain& other) { return other.closing.load(); });
    Seat& seat = this_thread.seats[domain.index()];
    if (seat.me == nobody) {
        seat.me = take_slot(domain);
        seat.bell = platform::robust_entry(domain.registry().bell.node);
        domain.attached.fetch_add(1);
        if (domain.on_enter != nullptr)
            domain.on_enter(domain);
    }
    return enter(domain);
}

void detach(Domain& domain) noexcept {
    Seat& seat = this_thread.seats[domain.index()];
    if (seat.me != nobody)
        leave(domain, seat);
}

void detach_this_thread() noexcept {
    if (this_thread.seats == no_seats.data())
        return;
    // Not asked of the seats, which cost a child that never attached a page.
    if (prepared_by != platform::process_id())
        return; // a fork wiped them, and nothing was attached since
    leave_where([](const Domain&) { return true; });
    Seat* const page = this_thread.seats;
    this_thread = {no_seats.data(), &nowhere};
    ::munmap(page, seats_bytes);
}

} // namespace multifork::liveness
