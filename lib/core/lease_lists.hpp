#pragma once

#include "platform/compiler_barrier.hpp"

#include <multifork/core/lease_queue.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

// The lists of a JoinableQueue: which slots are queued, free, leased. All of it is derived from the
// slots' states, and made anew by whoever inherits the queue's lock.

namespace multifork::core::leases {

using liveness::nobody;
using liveness::ThreadWord;

// Everything that is not a flag is written under the queue's lock, whose acquire and release order
// it; hence relaxed. Compiler barriers keep each commit between what it needs and what follows.
inline constexpr auto relaxed = std::memory_order_relaxed;

using platform::compiler_barrier;

[[noreturn]] void corrupt(const LeaseQueue& queue);

inline LeaseSlot& slot_at(const LeaseQueue& queue, std::uint32_t index) noexcept {
    auto* const base = reinterpret_cast<std::byte*>(&queue.header);
    return *reinterpret_cast<LeaseSlot*>(base + queue.shape.slots_offset() +
                                         index * queue.shape.slot_bytes());
}
inline std::uint32_t used(const LeaseQueue& queue) noexcept {
    return std::min(queue.header.used.load(relaxed), queue.shape.slots);
}
inline bool is_leased(ThreadWord state) noexcept {
    return state != nobody && state != lease_queued;
}

/// The derived lists; the caller holds the lock.
class Lists {
public:
    explicit Lists(const LeaseQueue& queue) noexcept
        : queue_(queue), h_(queue.header),
          order_(reinterpret_cast<std::uint32_t*>(&queue.header + 1)),
          free_(order_ + queue.shape.slots), leased_(free_ + queue.shape.slots) {}

    [[nodiscard]] std::uint32_t oldest() const {
        const std::uint32_t index = order_[place(0)];
        if (index >= queue_.shape.slots ||
            slot_at(queue_, index).state.load(relaxed) != lease_queued)
            corrupt(queue_);
        return index;
    }
    void pop_oldest() const noexcept {
        h_.order_first = place(1);
        --h_.order_count;
    }
    /// Takes the slot in, at the place of its position: at the end, but for what comes back.
    void enqueue(std::uint32_t index) const;

    [[nodiscard]] bool has_room() const noexcept {
        return h_.order_count < queue_.shape.capacity &&
               (h_.free_count > 0 || used(queue_) < queue_.shape.slots);
    }
    [[nodiscard]] std::uint32_t take_free() const;
    void drop_free() const noexcept { --h_.free_count; }
    void push_free(std::uint32_t index) const {
        if (h_.free_count >= queue_.shape.slots)
            corrupt(queue_);
        free_[h_.free_count++] = index;
    }

    [[nodiscard]] std::uint32_t leased_count() const noexcept {
        return std::min(h_.leased_count, queue_.shape.slots);
    }
    /// The n-th leased slot, in no order.
    [[nodiscard]] std::uint32_t leased(std::uint32_t n) const {
        if (leased_[n] >= queue_.shape.slots)
            corrupt(queue_);
        return leased_[n];
    }
    void push_leased(std::uint32_t index) const {
        if (h_.leased_count >= queue_.shape.slots)
            corrupt(queue_);
        slot_at(queue_, index).leased_at = h_.leased_count;
        leased_[h_.leased_count++] = index;
    }
    void drop_leased(std::uint32_t index) const;

    [[nodiscard]] bool all_done() const noexcept {
        return h_.order_count == 0 && h_.leased_count == 0;
    }

    /// Makes all that is derived anew.
    void rebuild() const;

    /// Looks at that many leases, in turn, and queues those of the dead again.
    void redeliver(std::uint32_t at_most) const;

    void queue_again(std::uint32_t index) const;

private:
    /// Where the n-th oldest of the queue stands. Also n == order_count, for the next one.
    [[nodiscard]] std::uint32_t place(std::uint32_t n) const noexcept {
        return static_cast<std::uint32_t>((std::uint64_t{h_.order_first} + n) % queue_.shape.slots);
    }

    const LeaseQueue& queue_;
    LeaseHeader& h_;
    std::uint32_t* order_;
    std::uint32_t* free_;
    std::uint32_t* leased_;
};

} // namespace multifork::core::leases
