#include "channel/outgoing_block.hpp"

#include <multifork/channel/message_ring.hpp>
#include <multifork/platform/mutant.hpp>

#include <algorithm>
#include <cstring>
#include <deque>
#include <optional>
#include <utility>

namespace multifork {
namespace {

using arena::inline_message_bytes;
using arena::MessageSlot;

// A buffer above this is given back rather than kept for the thread's next message.
constexpr std::size_t keep_at_most = 1u << 20;

/// Kept for the thread's next message, until the thread's objects go: exit handlers may still put.
struct Spare {
    std::vector<std::byte> bytes;
    ~Spare();
};
thread_local bool spare_is_gone = false; // outlives every destructor
thread_local Spare spare;

Spare::~Spare() {
    spare_is_gone = true;
}

/// Clears away what the head comment of message_ring.hpp lists.
class Repair {
public:
    Repair(const arena::Object& object, const core::RingHeader& ring) noexcept
        : object_(object), ring_(ring) {}
    // relaxed: written under the lock that the heir has inherited
    void uncommitted_put(std::byte* slot) const noexcept { free_block_in(slot, next_put(ring_)); }
    void committed_get(std::byte* slot) const noexcept { free_block_in(slot, last_get(ring_)); }

    /// The item that the holder of the producers' lock is putting.
    static std::uint64_t next_put(const core::RingHeader& ring) noexcept {
        return ring.tail.load(std::memory_order_relaxed) >> 1;
    }
    /// The item that the holder of the consumers' lock has got, after its commit.
    static std::uint64_t last_get(const core::RingHeader& ring) noexcept {
        return (ring.head.load(std::memory_order_relaxed) >> 1) - 1;
    }

private:
    /// Frees the slot's block if it is that of the item at `position`. It need not be: in a full
    /// ring the slot at tail is that of the oldest item, and the one before head may have been
    /// filled again since.
    void free_block_in(std::byte* bytes, std::uint64_t position) const noexcept {
        auto& slot = *reinterpret_cast<MessageSlot*>(bytes);
        // acquire: pairs with the release in message_put()
        const std::uint64_t block = slot.block.load(std::memory_order_acquire);
        arena::Space& space = object_.space();
        if (block == 0 || !space.take_from_ring(block, object_.offset(), position))
            return;
        // Only now: as long as the ring owns a block, a slot names it.
        slot.block.store(0, std::memory_order_relaxed);
        space.free(block);
    }
    const arena::Object& object_;
    const core::RingHeader& ring_;
};

/// The slot of the next put; whatever the last get from it has left is cleared away.
MessageSlot& settled_slot(std::byte* place, core::RingHeader& ring, const core::RingShape& shape,
                          liveness::Domain& domain, const Repair& repair) {
    auto& slot = *reinterpret_cast<MessageSlot*>(place);
    if (slot.block.load(std::memory_order_relaxed) != 0) [[unlikely]] {
        // Its consumer is about to clear it, or has died: either way it is cleared once the lock is
        // ours.
        if (core::ring_lock_consumers(ring, shape, domain, platform::Deadline::never(), repair))
            core::unlock(ring.consumers);
    }
    return slot;
}

void write_inline(MessageSlot& slot, std::span<const std::byte> bytes) noexcept {
    slot.size = bytes.size();
    slot.block.store(0, std::memory_order_relaxed);
    if (!bytes.empty())
        std::memcpy(slot.inline_bytes(), bytes.data(), bytes.size());
}

void write_block(MessageSlot& slot, std::size_t size, const OutgoingBlock& block,
                 const arena::Object& object, const core::RingHeader& ring) noexcept {
    slot.size = size;
    if (MULTIFORK_MUTANT(give_first))
        object.space().give_to_ring(block.offset(), object.offset(), Repair::next_put(ring));
    std::atomic_signal_fence(std::memory_order_seq_cst);
    // release: pairs with the acquire in Repair
    slot.block.store(block.offset(), std::memory_order_release);
    // The heir looks for the ring's blocks by the slot: the slot comes first.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    object.space().give_to_ring(block.offset(), object.offset(), Repair::next_put(ring));
}

} // namespace

/// Takes one message out of its slot, in the two steps of a get.
class MessageReader {
public:
    MessageReader(core::RingHeader& ring, const core::RingShape& shape, const arena::Object& object)
        : ring_(ring), shape_(shape), object_(object) {}

    /// Before the commit.
    void read(const std::byte* place, Message& message) {
        const auto& slot = *reinterpret_cast<const MessageSlot*>(place);
        size_ = slot.size;
        block_ = slot.block.load(std::memory_order_relaxed);
        if (block_ != 0)
            static_cast<void>(object_.space().checked(block_, size_));
        else if (size_ <= inline_message_bytes)
            std::memcpy(message.inline_.data(), slot.inline_bytes(), size_);
        else
            core::ring_corrupt(ring_, shape_);
    }
    /// After it.
    void after(std::byte* place, Message& message) noexcept {
        arena::Space& space = object_.space();
        message.space_ = &space;
        if (block_ == 0) {
            message.bytes_ = {message.inline_.data(), static_cast<std::size_t>(size_)};
            return;
        }
        if (space.take_from_ring(block_, object_.offset(), Repair::last_get(ring_))) {
            message.block_ = block_;
            message.bytes_ = {space.at(block_), static_cast<std::size_t>(size_)};
        }
        reinterpret_cast<MessageSlot*>(place)->block.store(0, std::memory_order_relaxed);
    }
    /// \throws CorruptSharedMemory when the message's block was not the ring's
    void check(const Message& message) const {
        if (message.bytes_.data() == nullptr)
            core::ring_corrupt(ring_, shape_);
    }

private:
    core::RingHeader& ring_;
    const core::RingShape& shape_;
    const arena::Object& object_;
    std::uint64_t size_ = 0;
    std::uint64_t block_ = 0;
};

MessageBuffer::MessageBuffer() {
    if (!spare_is_gone)
        bytes_ = std::move(spare.bytes);
    bytes_.clear();
}

MessageBuffer::~MessageBuffer() {
    if (!spare_is_gone && bytes_.capacity() <= keep_at_most &&
        bytes_.capacity() > spare.bytes.capacity())
        spare.bytes = std::move(bytes_);
}

Message::~Message() {
    if (block_ != 0)
        space_->free(block_);
}

core::RingResult message_put(core::RingHeader& ring, const core::RingShape& shape,
                             const arena::Object& object, platform::Deadline deadline,
                             const Outgoing& message, core::RingWait wait) {
    const Repair repair(object, ring);
    liveness::Domain& domain = object.space().domain();
    OutgoingBlock block(object.space(), message);
    if (block.offset() == 0)
        return core::ring_put(
            ring, shape, domain, deadline,
            [&](std::byte* place) {
                write_inline(settled_slot(place, ring, shape, domain, repair), message.bytes);
            },
            repair, wait);

    const core::RingResult result = core::ring_put(
        ring, shape, domain, deadline,
        [&](std::byte* place) {
            write_block(settled_slot(place, ring, shape, domain, repair), message.bytes.size(),
                        block, object, ring);
        },
        repair, wait);
    if (result == core::RingResult::done)
        block.sent();
    return result;
}

core::RingBatch message_put_some(core::RingHeader& ring, const core::RingShape& shape,
                                 const arena::Object& object, platform::Deadline deadline,
                                 std::span<const std::vector<std::byte>> messages) {
    const Repair repair(object, ring);
    liveness::Domain& domain = object.space().domain();
    // No more than can be put: blocks are made before the lock is taken.
    messages = messages.first(std::min<std::size_t>(messages.size(), shape.capacity));
    std::deque<std::optional<OutgoingBlock>> blocks(messages.size());
    for (std::size_t i = 0; i < messages.size(); ++i)
        if (messages[i].size() > inline_message_bytes)
            blocks[i].emplace(object.space(), Outgoing(messages[i]));
    const core::RingBatch batch = core::ring_put_some(
        ring, shape, domain, deadline, messages.size(),
        [&](std::uint64_t i, std::byte* place) {
            MessageSlot& slot = settled_slot(place, ring, shape, domain, repair);
            if (blocks[i])
                write_block(slot, messages[i].size(), *blocks[i], object, ring);
            else
                write_inline(slot, messages[i]);
        },
        repair);
    for (std::size_t i = 0; i < batch.count; ++i)
        if (blocks[i])
            blocks[i]->sent();
    return batch;
}

bool message_get(core::RingHeader& ring, const core::RingShape& shape, const arena::Object& object,
                 platform::Deadline deadline, Message& message, core::RingWait wait) {
    MessageReader reader(ring, shape, object);
    const auto result = core::ring_get(
        ring, shape, object.space().domain(), deadline,
        [&](const std::byte* place) { reader.read(place, message); },
        [&](std::byte* place) { reader.after(place, message); }, Repair(object, ring), wait);
    if (result != core::RingResult::done)
        return false;
    reader.check(message);
    return true;
}

core::RingBatch message_get_some(core::RingHeader& ring, const core::RingShape& shape,
                                 const arena::Object& object, platform::Deadline deadline,
                                 std::size_t count, std::deque<Message>& messages) {
    MessageReader reader(ring, shape, object);
    const core::RingBatch batch = core::ring_get_some(
        ring, shape, object.space().domain(), deadline, count,
        [&](std::uint64_t i, const std::byte* place) {
            if (messages.size() <= i)
                messages.emplace_back();
            reader.read(place, messages[i]);
        },
        [&](std::uint64_t i, std::byte* place) { reader.after(place, messages[i]); },
        Repair(object, ring));
    while (messages.size() > batch.count)
        messages.pop_back(); // begun, and not taken
    for (const Message& message : messages)
        reader.check(message);
    return batch;
}

} // namespace multifork
