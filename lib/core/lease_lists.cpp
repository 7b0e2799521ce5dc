#include "core/lease_lists.hpp"

#include "liveness/registry.hpp"

#include <multifork/error.hpp>
#include <multifork/platform/mutant.hpp>

#include <fmt/core.h>

namespace multifork::core::leases {

[[noreturn]] void corrupt(const LeaseQueue& queue) {
    throw CorruptSharedMemory(fmt::format(
        "a JoinableQueue of {} slots has lists that do not fit: its memory was overwritten; make a "
        "new queue, and look for a process that writes where it should not",
        queue.shape.slots));
}

void Lists::enqueue(std::uint32_t index) const {
    if (h_.order_count >= queue_.shape.slots)
        corrupt(queue_);
    const std::uint64_t position = slot_at(queue_, index).position;
    const auto is_before = [&](std::uint32_t other) {
        return other < queue_.shape.slots && slot_at(queue_, other).position < position;
    };
    std::uint32_t at = h_.order_count;
    if (at == 0 || is_before(order_[place(at - 1)])) {
        order_[place(at)] = index;
    } else { // what comes back is among the oldest: from the front
        h_.order_first = (place(0) + queue_.shape.slots - 1) % queue_.shape.slots;
        for (at = 0; at < h_.order_count && is_before(order_[place(at + 1)]); ++at)
            order_[place(at)] = order_[place(at + 1)];
        order_[place(at)] = index;
    }
    ++h_.order_count;
}

std::uint32_t Lists::take_free() const {
    if (h_.free_count > 0) {
        if (h_.free_count > queue_.shape.slots)
            corrupt(queue_);
        const std::uint32_t index = free_[h_.free_count - 1];
        if (index >= queue_.shape.slots || slot_at(queue_, index).state.load(relaxed) != nobody)
            corrupt(queue_);
        return index;
    }
    const std::uint32_t index = used(queue_);
    h_.used.store(index + 1, relaxed); // before the slot is used: no survivor overlooks it
    free_[h_.free_count++] = index;
    return index;
}

void Lists::drop_leased(std::uint32_t index) const {
    const std::uint64_t at = slot_at(queue_, index).leased_at;
    if (at >= leased_count())
        corrupt(queue_);
    const std::uint32_t last = leased(leased_count() - 1);
    leased_[at] = last;
    slot_at(queue_, last).leased_at = at;
    --h_.leased_count;
}

void Lists::rebuild() const {
    h_.order_first = h_.order_count = h_.free_count = h_.leased_count = 0;
    for (std::uint32_t i = 0; i < used(queue_); ++i) {
        LeaseSlot& slot = slot_at(queue_, i);
        const ThreadWord state = slot.state.load(relaxed);
        h_.next_position = std::max(h_.next_position, slot.position + 1);
        if (state == lease_queued) {
            order_[h_.order_count++] = i;
        } else if (state == nobody) {
            queue_.payload.drop(slot.payload(), slot.position);
            free_[h_.free_count++] = i;
        } else {
            slot.leased_at = h_.leased_count;
            leased_[h_.leased_count++] = i;
        }
    }
    std::sort(order_, order_ + h_.order_count, [&](std::uint32_t a, std::uint32_t b) {
        return slot_at(queue_, a).position < slot_at(queue_, b).position;
    });
    if (all_done())
        ++h_.drained; // the dead may have done the last item, and not have said so
}

void Lists::redeliver(std::uint32_t at_most) const {
    if (MULTIFORK_MUTANT(no_redelivery))
        return;
    for (std::uint32_t left = std::min(at_most, leased_count()); left > 0; --left) {
        if (h_.look >= leased_count())
            h_.look = 0;
        const std::uint32_t index = leased(h_.look);
        const ThreadWord owner = slot_at(queue_, index).state.load(relaxed);
        if (!is_leased(owner))
            corrupt(queue_);
        if (liveness::is_alive(queue_.domain, owner))
            ++h_.look;
        else
            queue_again(index); // another takes its place in the list
    }
}

void Lists::queue_again(std::uint32_t index) const {
    LeaseSlot& slot = slot_at(queue_, index);
    slot.tries = MULTIFORK_MUTANT(count_tries_late) ? slot.tries + 1 : slot.lease_tries;
    h_.changes.store(h_.changes.load(relaxed) + 1, relaxed);
    compiler_barrier();
    slot.state.store(lease_queued, relaxed); // COMMIT
    compiler_barrier();
    drop_leased(index);
    enqueue(index);
}

} // namespace multifork::core::leases
