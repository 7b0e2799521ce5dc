#pragma once

#include <atomic>
#include <cstdint>

// The kernel's robust futex list, as glibc and musl use it.
//
// Every thread registers one list head with the kernel. When the thread ends, however it ends, the
// kernel walks the list; for each entry whose futex word holds the thread's id it stores
// FUTEX_OWNER_DIED there and wakes one sleeper if FUTEX_WAITERS was set. Then it does the same for
// the entry at list_op_pending, with one addition: if that word is 0, it only wakes one sleeper.
//
// The C library owns the head (there is one a thread) and puts its own robust mutexes into the
// list. We link our nodes into the same list, in the C library's shape: the futex word lies 32
// bytes before the `next` pointer, and `prev` right before `next`.

namespace multifork::platform {

inline constexpr std::uint32_t futex_waiters = 0x8000'0000u;
inline constexpr std::uint32_t futex_owner_died = 0x4000'0000u;
inline constexpr std::uint32_t futex_tid_mask = 0x3fff'ffffu;

/// One entry of a robust list: a futex word and the links, which are addresses in the owner's
/// process and mean nothing to anybody else.
struct RobustNode {
    std::atomic<std::uint32_t> word;
    std::uint32_t padding[5];
    void* prev; ///< address of the `next` field of the entry before
    void*
        next; ///< address of the `next` field of the entry after; the head's address ends the list
};
static_assert(sizeof(RobustNode) == 40 && sizeof(void*) == 8, "an ABI of 64-bit Linux");

/// The kernel's struct robust_list_head.
struct RobustHead {
    void* list;
    long futex_offset;
    void* op_pending;
};

/// The calling thread's list head, registered with the kernel.
///
/// A process made by a raw clone() has the head in its memory, but the kernel does not know it:
/// this registers it again. \return nullptr when the C library's layout is not the one that this
/// file knows
[[nodiscard]] RobustHead* own_robust_head() noexcept;

/// Links `node` at the front of the calling thread's list.
///
/// A kill at any instruction leaves the list walkable; the caller has op_pending at the node
/// meanwhile, so that the kernel finds it before it is linked.
void robust_link(RobustHead& head, RobustNode& node) noexcept;

/// Takes `node` out of the calling thread's list; op_pending must point at the node meanwhile.
///
/// \return false when the node's links, which others can write, do not lead to neighbours that lead
/// back: somebody has overwritten them. Then nothing was done, and the node must stay mapped for as
/// long as the thread lives.
[[nodiscard]] bool robust_unlink(RobustHead& head, RobustNode& node) noexcept;

/// Empties the list of a thread that a raw clone() made: its entries are the parent's.
inline void robust_reset(RobustHead& head) noexcept {
    head.op_pending = nullptr;
    head.list = &head.list;
}

/// What op_pending and the links hold for a node: the address of its `next` field.
[[nodiscard]] inline void* robust_entry(RobustNode& node) noexcept {
    return &node.next;
}

} // namespace multifork::platform
