#pragma once

#include <multifork/liveness/thread_word.hpp>
#include <multifork/platform/export.hpp>
#include <multifork/platform/mutant.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

// A domain is one shared registry of threads: the arena has one, and so has each named segment.
// This file is what every operation does first, so it is small and inline: enter() tells the
// calling thread its name in the domain and arms the domain's death bell.

namespace multifork::liveness {

struct Registry;

/// One process's view of a registry. Made by the arena floor, which owns the memory below it.
class MULTIFORK_API Domain {
public:
    /// \param registry  of zeroed bytes, or one that others use already
    /// \param capacity  its thread slots, told by who knows: shared memory may be overwritten
    /// \throws TooManyThreads  when this process has 1000 domains open already
    Domain(Registry& registry, std::uint32_t capacity);
    ~Domain();
    Domain(const Domain&) = delete;
    Domain& operator=(const Domain&) = delete;

    [[nodiscard]] Registry& registry() const noexcept { return registry_; }
    [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] std::uint32_t index() const noexcept { return index_; }

    /// Called when a thread leaves in an orderly way, before its slot is given back; may be empty.
    /// Upper floors settle there what the thread still holds.
    void (*on_leave)(Domain&, ThreadWord me) noexcept = nullptr;
    /// Called when a thread of this process has got a slot; may be empty.
    void (*on_enter)(Domain&) = nullptr;
    /// Called once, when the domain is closing and its last thread has left: the memory may go.
    void (*on_unused)(Domain&) noexcept = nullptr;
    void* owner = nullptr; ///< for the two callbacks

    /// Starts closing: the calling thread leaves at once, the process's other threads at their next
    /// attach or at their end, and then on_unused is called. No operation may run in this domain
    /// any more.
    void close() noexcept;

    /// Threads of this process that have a slot here, and one until close(): while there are any,
    /// the memory must stay mapped, because their robust lists run through it.
    std::atomic<std::uint32_t> attached{1};
    /// Set when the owner wants to unmap: each thread leaves at its next opportunity.
    std::atomic<bool> closing{false};

    /// One user less: a thread that has left, or close(). Whoever was the last one calls on_unused,
    /// and nobody else may touch the domain after its own call.
    void release() noexcept;

private:
    Registry& registry_;
    std::uint32_t capacity_;
    std::uint32_t index_;
};

/// Where a thread sits in one domain.
struct Seat {
    ThreadWord me = nobody; ///< its name there; nobody: not attached
    void* bell = nullptr;   ///< what list_op_pending points at during an operation
};

/// Seat 0 belongs to no domain: it says whose page it is.
inline constexpr std::size_t max_domains = 1023;

/// The calling thread's seats, indexed by Domain::index(). They lie in a page that the kernel wipes
/// in a forked child (MADV_WIPEONFORK), so that a child never acts under its parent's name,
/// whatever call made it: its first operation finds no name and attaches anew.
struct ThreadSeats {
    Seat* seats;
    void** op_pending; ///< &robust_list_head::list_op_pending
};

#if defined(__GNUC__)
#define MULTIFORK_TLS __attribute__((tls_model("initial-exec")))
#else
#define MULTIFORK_TLS
#endif

extern MULTIFORK_API constinit thread_local ThreadSeats this_thread MULTIFORK_TLS;

/// Gives the calling thread a slot in the domain. \throws TooManyThreads, Error
MULTIFORK_API ThreadWord attach(Domain& domain);

/// Gives the slot back in an orderly way: waiters for what the thread holds are told, permits stay
/// taken. Happens by itself when a thread ends. Does nothing when the thread has no slot.
MULTIFORK_API void detach(Domain& domain) noexcept;

/// Leaves all domains; the next operation attaches again.
MULTIFORK_API void detach_this_thread() noexcept;

/// Names the calling thread in the domain and arms the death bell: from here until the thread's
/// next operation in another domain, the kernel wakes a sleeper of this domain should the thread
/// die.
///
/// Three loads when the thread is attached and was in this domain last. It looks before it stores:
/// a store here has to leave the processor before the atomic instruction that follows can begin,
/// which cost 5 % of an uncontended Lock.
///
/// \param index  domain.index(), for callers that keep it at hand: it saves a dependent load
inline ThreadWord enter(Domain& domain, std::uint32_t index) {
    const Seat& seat = this_thread.seats[index];
    if (seat.me == nobody) [[unlikely]]
        return attach(domain);
    if (*this_thread.op_pending != seat.bell) [[unlikely]]
        *this_thread.op_pending = MULTIFORK_MUTANT(no_bell) ? nullptr : seat.bell;
    // The kernel looks at op_pending when this thread is dead: the store must not sink below the
    // operation.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    return seat.me;
}
inline ThreadWord enter(Domain& domain) {
    return enter(domain, domain.index());
}

/// To be called around fork(): holds this floor's process-wide lock meanwhile, and makes the child
/// forget its parent's threads.
MULTIFORK_API void before_fork();
MULTIFORK_API void after_fork_in_parent() noexcept;
MULTIFORK_API void after_fork_in_child() noexcept;

/// Whether the thread of that name still lives. Dead is final: names never come back.
[[nodiscard]] MULTIFORK_API bool is_alive(const Domain& domain, ThreadWord name) noexcept;

/// The process id of the thread of that name, while it is alive; else 0.
[[nodiscard]] MULTIFORK_API std::uint32_t pid_of(const Domain& domain, ThreadWord name) noexcept;

} // namespace multifork::liveness
