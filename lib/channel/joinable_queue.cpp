#include "channel/outgoing_block.hpp"

#include "platform/system.hpp"

#include <multifork/arena/message_slot.hpp>
#include <multifork/channel/lease.hpp>
#include <multifork/error.hpp>

#include <fmt/format.h>

#include <cstring>

namespace multifork {
namespace {

using arena::inline_message_bytes;
using arena::MessageSlot;

// Slots beyond the capacity: how many items may be leased before a put has to wait for one of them.
constexpr std::size_t lease_room = 256;

} // namespace

TaskQueue::Layout TaskQueue::Layout::make(std::size_t capacity, std::size_t item_bytes,
                                          bool messages) {
    if (capacity == 0)
        throw InvalidArgument(
            "a queue needs a capacity of at least 1; an unbounded one would fill the memory");
    const std::size_t payload = messages ? arena::message_slot_bytes : (item_bytes + 7) / 8 * 8;
    constexpr std::size_t most = std::size_t{1} << 31;
    constexpr std::size_t most_bytes = std::size_t{1} << 47; // all the addresses that there are
    if (capacity > most || capacity + lease_room > most_bytes / (payload + 64))
        throw InvalidArgument(
            fmt::format("a queue for {} items of {} bytes was asked for, which no "
                        "machine has memory for; was a negative number turned "
                        "into an unsigned one?",
                        capacity, payload));
    Layout layout;
    layout.shape.capacity = static_cast<std::uint32_t>(capacity);
    layout.shape.slots = static_cast<std::uint32_t>(capacity + lease_room);
    layout.shape.payload_bytes = payload;
    layout.item_bytes = item_bytes;
    layout.messages = messages;
    return layout;
}

core::LeaseResult TaskQueue::put(const Outgoing& message, platform::Deadline deadline) const {
    const std::span<const std::byte> bytes = message.bytes;
    if (!layout_.messages)
        return core::lease_put(core(), deadline, [&](std::byte* payload, std::uint64_t) {
            std::memcpy(payload, bytes.data(), bytes.size());
        });
    OutgoingBlock block(object_.space(), message);
    const auto result =
        core::lease_put(core(), deadline, [&](std::byte* payload, std::uint64_t position) {
            auto& slot = *reinterpret_cast<MessageSlot*>(payload);
            slot.size = bytes.size();
            slot.block.store(block.offset(), std::memory_order_relaxed); // the queue's lock is held
            if (block.offset() == 0) {
                if (!bytes.empty())
                    std::memcpy(slot.inline_bytes(), bytes.data(), bytes.size());
                return;
            }
            // The heir looks for the queue's blocks by the slot: the slot comes first.
            std::atomic_signal_fence(std::memory_order_seq_cst);
            object_.space().give_to_ring(block.offset(), object_.offset(), position);
        });
    if (result == core::LeaseResult::done)
        block.sent();
    return result;
}

std::span<const std::byte> TaskQueue::bytes(const core::LeaseToken& token) const {
    std::byte* const payload = core::lease_payload(core(), token);
    if (!layout_.messages)
        return {payload, layout_.item_bytes};
    const auto& slot = *reinterpret_cast<const MessageSlot*>(payload);
    const std::size_t size = slot.size;
    if (const std::uint64_t block = slot.block.load(std::memory_order_relaxed); block != 0)
        return {object_.space().checked(block, size), size};
    if (size > inline_message_bytes)
        throw CorruptSharedMemory("a message says that it is longer than the slot that it lies in: "
                                  "its memory was overwritten; make a new queue, and look for a "
                                  "process that writes where it should not");
    return {slot.inline_bytes(), size};
}

void TaskQueue::Blocks::drop(std::byte* payload, std::uint64_t position) const noexcept {
    auto& slot = *reinterpret_cast<MessageSlot*>(payload);
    const std::uint64_t block = slot.block.load(std::memory_order_relaxed); // under the lock
    if (block == 0)
        return;
    arena::Space& space = object_.space();
    // Its owner word decides: a block whose putter died before it was the queue's is not ours.
    const bool ours = space.take_from_ring(block, object_.offset(), position);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    // Only now: as long as the queue owns a block, a slot names it.
    slot.block.store(0, std::memory_order_relaxed);
    if (ours)
        space.free(block);
}

bool detail::stays_unreadable(const Error& error) noexcept {
    const Error* const what = &error;
    return dynamic_cast<const CorruptSharedMemory*>(what) != nullptr ||
           dynamic_cast<const LayoutMismatch*>(what) != nullptr ||
           dynamic_cast<const NotFound*>(what) != nullptr;
}

LeaseTicket::LeaseTicket(std::shared_ptr<const TaskQueue> queue,
                         const core::LeaseToken& token) noexcept
    : queue_(std::move(queue)), token_(token), process_(platform::process_id()) {}

LeaseTicket::~LeaseTicket() {
    give_back_quietly();
}

LeaseTicket& LeaseTicket::operator=(LeaseTicket&& other) noexcept {
    if (this != &other) {
        give_back_quietly();
        queue_ = std::move(other.queue_);
        token_ = other.token_;
        process_ = other.process_;
    }
    return *this;
}

void LeaseTicket::give_back_quietly() noexcept {
    if (queue_ == nullptr || process_ != platform::process_id())
        return;
    try {
        // False: the thread that got it has ended, and the item is queued already.
        static_cast<void>(core::lease_give_back(queue_->core(), token_));
    } catch (const Error&) {
        // The queue's memory is damaged: who uses the queue next will be told.
    }
    queue_.reset();
}

std::shared_ptr<const TaskQueue> LeaseTicket::end(const char* what) {
    if (queue_ == nullptr || process_ != platform::process_id())
        throw NotOwner(fmt::format(
            "{}() of an item that this lease has ended for: call task_done() or give_back() once "
            "for each item",
            what));
    return std::exchange(queue_, nullptr);
}

namespace {
[[noreturn]] void throw_lost(const char* what) {
    throw NotOwner(fmt::format("{}() of an item whose getter, the thread that called get(), has "
                               "ended meanwhile: it was queued again for another; finish an item "
                               "before that thread ends",
                               what));
}
} // namespace

void LeaseTicket::task_done() {
    if (!core::lease_task_done(end("task_done")->core(), token_))
        throw_lost("task_done");
}

void LeaseTicket::give_back() {
    if (!core::lease_give_back(end("give_back")->core(), token_))
        throw_lost("give_back");
}

} // namespace multifork
