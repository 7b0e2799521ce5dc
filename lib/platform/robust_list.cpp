#include "platform/robust_list.hpp"
#include "platform/compiler_barrier.hpp"

#include <multifork/platform/mutant.hpp>

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace multifork::platform {
namespace {

constexpr long word_offset = -32;

/// The C library marks entries that are priority-inheriting mutexes by the lowest bit.
void* without_mark(void* link) noexcept {
    return reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(link) & ~std::uintptr_t{1});
}

/// Where the link back of the entry at this address lies. The address may be anything, also null.
void* link_back_of(void* entry) noexcept {
    return reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(entry) - sizeof(void*));
}

void*& previous_of(void* entry) noexcept {
    return *static_cast<void**>(link_back_of(without_mark(entry)));
}

/// Whether there is a pointer at `place` and it leads to `target`. The place may be anything: it
/// was read from shared memory.
bool leads_to(void* place, const void* target) noexcept {
    void* found = nullptr;
    const iovec here{&found, sizeof found};
    const iovec there{place, sizeof found};
    if (::process_vm_readv(::getpid(), &here, 1, &there, 1, 0) == sizeof found)
        return without_mark(found) == target;
    return errno == EPERM || errno == ENOSYS; // cannot be looked at here: believe it
}

// glibc registers the head when a thread starts, but a raw clone() leaves the kernel without it,
// and get_robust_list then gives nothing. The head itself lies in the thread's own memory: remember
// where.
thread_local RobustHead* remembered = nullptr;

// The main thread's, for a child of a raw clone() that it makes before it has used the library.
[[gnu::constructor]] void remember_at_load() noexcept {
    static_cast<void>(own_robust_head());
}

} // namespace

RobustHead* own_robust_head() noexcept {
    static_assert(offsetof(RobustNode, next) - offsetof(RobustNode, word) == 32);
    RobustHead* head = nullptr;
    std::size_t size = 0;
    if (::syscall(SYS_get_robust_list, 0, &head, &size) != 0)
        return nullptr;
    if (head == nullptr && remembered != nullptr) {
        // Or the next node would be linked to the parent's, in shared memory.
        robust_reset(*remembered);
        if (::syscall(SYS_set_robust_list, remembered, sizeof(RobustHead)) == 0)
            head = remembered;
    }
    if (head == nullptr || head->futex_offset != word_offset)
        return nullptr;
    remembered = head;
    return head;
}

void robust_link(RobustHead& head, RobustNode& node) noexcept {
    node.next = head.list;
    node.prev = &head.list;
    compiler_barrier();
    if (node.next != &head.list)
        previous_of(node.next) = &node.next;
    compiler_barrier();
    head.list = &node.next; // from here on the kernel finds the node
    compiler_barrier();
}

bool robust_unlink(RobustHead& head, RobustNode& node) noexcept {
    void* const before = without_mark(node.prev);
    void* const after = without_mark(node.next);
    // The head's own neighbours are the common case, and cost no call.
    if (!MULTIFORK_MUTANT(trust_links) &&
        ((before != &head.list && !leads_to(before, &node.next)) ||
         (before == &head.list && without_mark(head.list) != &node.next) ||
         (after != &head.list && !leads_to(link_back_of(after), &node.next))))
        return false;
    *static_cast<void**>(before) = node.next; // from here on the kernel does not find it
    compiler_barrier();
    if (node.next != &head.list)
        previous_of(node.next) = node.prev;
    compiler_barrier();
    node.next = nullptr;
    node.prev = nullptr;
    return true;
}

} // namespace multifork::platform
