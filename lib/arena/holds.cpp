#include "arena/heap.hpp"
#include "arena/heap_lock.hpp"

#include <multifork/platform/mutant.hpp>

#include <atomic>

// Holds: what keeps an object for a message that brings a handle on it, and for a process that has
// got such a message. layout.hpp has the record.
//
//   send:     a hold, owned by the sender's thread  |  linked to the message's block
//             hold's owner = the message's block (COMMIT)
//   receive:  a hold, owned by the receiver's thread, filled while the message still keeps the
//             object  |  hold's owner = the receiver's process (COMMIT)
//
// The count of holds in the object's header is derived, like the lists: it counts the records that
// name the object, and the heir of the heap's lock counts anew. So a hold keeps from the store of
// its `target` until its block is freed.
//
// What a death leaves:
//   before the owner is the message       a hold of a dead thread: the next sweep frees it
//   after that, before the message is     a message of a dead thread: the next sweep frees it with
//   the queue's                           its holds
//   in the middle of freeing a message    a hold whose message is not there any more: the next
//                                         sweep frees it

namespace multifork::arena {
namespace {

constexpr auto relaxed = std::memory_order_relaxed; // under the heap's lock

} // namespace

bool Heap::is_in_use(ObjectUse use) const noexcept {
    return plausible(use.block) && block(use.block).owner.load(relaxed) != 0 &&
           block(use.block).serial == use.serial;
}

bool Heap::name_target(std::uint64_t hold, ObjectUse target) noexcept {
    Locked lock(*this);
    if (!is_in_use(target))
        return false;
    HoldRecord& record = hold_in(hold);
    record.serial = target.serial;
    compiler_barrier();
    record.target = target.block; // COMMIT: it counts
    compiler_barrier();
    ++block(target.block).holds;
    return true;
}

bool Heap::hold_for_message(std::uint64_t message, ObjectUse target) {
    const std::uint64_t hold = allocate(sizeof(HoldRecord), Kind::hold);
    if (!name_target(hold, target)) {
        free_own(hold);
        return false;
    }
    Locked lock(*this);
    hold_in(hold).next = block(message).first_hold;
    compiler_barrier();
    block(message).first_hold = hold;
    compiler_barrier();
    block(hold).owner.store(owner_ring(message), relaxed); // COMMIT
    return true;
}

std::uint64_t Heap::hold_for_process(ProcessId process, ObjectUse target) {
    const std::uint64_t hold = allocate(sizeof(HoldRecord), Kind::hold);
    if (!name_target(hold, target)) {
        free_own(hold);
        return 0;
    }
    give_to_process(hold, process);
    return hold;
}

bool Heap::take_from_process(std::uint64_t offset, ProcessId process) noexcept {
    Locked lock(*this);
    if (!plausible(offset) || block(offset).owner.load(relaxed) != owner_process(process.serial))
        return false;
    block(offset).owner.store(liveness::enter(domain_), relaxed); // COMMIT
    if (records()[process.record].objects > 0)
        --records()[process.record].objects;
    return true;
}

// The lock is held, and the hold's block is about to be freed.
void Heap::let_go(std::uint64_t hold) noexcept {
    const HoldRecord& record = hold_in(hold);
    const std::uint64_t target = record.target;
    if (target == 0 || !is_in_use({target, record.serial}))
        return;
    BlockHeader& object = block(target);
    if (object.holds > 0)
        --object.holds;
    if (object.holds == 0 && object.owner.load(relaxed) == retired)
        released_ = true;
}

// The lock is held, and the message's block is about to be freed.
void Heap::free_holds_of(std::uint64_t message) noexcept {
    std::uint64_t at = block(message).first_hold;
    block(message).first_hold = 0;
    const std::uint64_t owner = owner_ring(message);
    while (at != 0 && plausible(at) && block(at).kind.load(relaxed) == Kind::hold &&
           block(at).owner.load(relaxed) == owner) {
        const std::uint64_t next = hold_in(at).next;
        put_free(at);
        at = next;
    }
}

// The lock is held. Whether a hold belongs to a message that is not there any more.
bool Heap::is_orphan(std::uint64_t hold) const noexcept {
    if (block(hold).kind.load(relaxed) != Kind::hold || MULTIFORK_MUTANT(keep_orphans))
        return false;
    const std::uint64_t owner = block(hold).owner.load(relaxed);
    const std::uint64_t message = (owner >> 32) * block_unit;
    return !plausible(message) || block(message).owner.load(relaxed) == 0 ||
           owner_ring(message) != owner;
}

} // namespace multifork::arena
