#pragma once

#include <multifork/arena/message_slot.hpp>
#include <multifork/arena/object.hpp>
#include <multifork/channel/outgoing.hpp>
#include <multifork/core/ring.hpp>
#include <multifork/core/ring_batch.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

// Messages of any length through a ring (arena/message_slot.hpp has the slot's layout).
//
//   put:  the bytes are in a block of the calling thread, if they do not fit into the slot
//         lock | slot = size, block | block's owner = the ring | tail + 2 (COMMIT) | unlock
//   get:  lock | copy the slot | head + 2 (COMMIT) | block's owner = this thread, slot.block = 0 |
//   unlock
//         decode | free the block
//
// What a death leaves, and who clears it away:
//   before the block is the ring's     a block of a dead thread: the heap's next sweep
//   after that, before the tail        a block of the ring in the slot at tail, which no item uses:
//   the heir
//                                      of the producers' lock
//   after the head, before the block   a block of the ring in the slot before head, which was
//   delivered to is the thread's                    the dead: the heir of the consumers' lock while
//   decoding                     a block of a dead thread: the heap's next sweep
// Only the last get can leave a block behind, because who dies in it holds the lock. But a producer
// may come round to that slot before any consumer has inherited: it finds block != 0, and settles
// that by taking the consumers' lock for a moment. In each case the block decides by its owner word
// and by the number of the item that it is, so that clearing away twice, or dying in it, does no
// harm, and an heir never takes the block of an item that lies in the same slot rightfully.

namespace multifork {

/// The thread's buffer for encoding; nested use (a serialize() that puts) gets one of its own.
class MULTIFORK_API MessageBuffer {
public:
    MessageBuffer();
    ~MessageBuffer();
    MessageBuffer(const MessageBuffer&) = delete;
    MessageBuffer& operator=(const MessageBuffer&) = delete;
    [[nodiscard]] std::vector<std::byte>& bytes() noexcept { return bytes_; }
    /// With what the handles that were encoded since lead to.
    [[nodiscard]] Outgoing message() const noexcept { return {bytes_, &cargo_}; }

private:
    std::vector<std::byte> bytes_;
    arena::Cargo cargo_;
};

/// A message that was taken from a ring; its block is freed with it.
class MULTIFORK_API Message {
public:
    Message() noexcept = default;
    ~Message();
    Message(const Message&) = delete;
    Message& operator=(const Message&) = delete;
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }

private:
    friend class MessageReader;
    std::array<std::byte, arena::inline_message_bytes> inline_;
    std::span<const std::byte> bytes_;
    arena::Space* space_ = nullptr;
    std::uint64_t block_ = 0;
};

/// \throws OutOfSharedMemory, CorruptSharedMemory
[[nodiscard]] MULTIFORK_API core::RingResult
message_put(core::RingHeader& ring, const core::RingShape& shape, const arena::Object& object,
            platform::Deadline deadline, const Outgoing& message,
            core::RingWait wait = core::RingWait::here);
/// \return false when time ran out, or the ring is closed and drained \throws CorruptSharedMemory
[[nodiscard]] MULTIFORK_API bool message_get(core::RingHeader& ring, const core::RingShape& shape,
                                             const arena::Object& object,
                                             platform::Deadline deadline, Message& message,
                                             core::RingWait wait = core::RingWait::here);

/// Puts as many of the messages as there is room for, under one lock.
/// \throws OutOfSharedMemory, CorruptSharedMemory; nothing was put
[[nodiscard]] MULTIFORK_API core::RingBatch
message_put_some(core::RingHeader& ring, const core::RingShape& shape, const arena::Object& object,
                 platform::Deadline deadline, std::span<const std::vector<std::byte>> messages);
/// Takes as many messages as there are, at most `count`, under one lock. \throws
/// CorruptSharedMemory
[[nodiscard]] MULTIFORK_API core::RingBatch
message_get_some(core::RingHeader& ring, const core::RingShape& shape, const arena::Object& object,
                 platform::Deadline deadline, std::size_t count, std::deque<Message>& messages);

} // namespace multifork
