#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace multifork::arena {

/// A slot of a Kind::message_ring: a message of any length.
///
///   offset 0   size    bytes of the message
///          8   block   offset of the block that holds it; 0: it lies right behind, in the slot
///          16  the message, when it is at most slot_bytes - 16 long
///
/// The block belongs to the ring from before the commit of the put until after the commit of the
/// get.
struct MessageSlot {
    std::uint64_t size;
    std::atomic<std::uint64_t> block; // atomic: a producer looks at it while a consumer clears it

    [[nodiscard]] std::byte* inline_bytes() noexcept {
        return reinterpret_cast<std::byte*>(this + 1);
    }
    [[nodiscard]] const std::byte* inline_bytes() const noexcept {
        return reinterpret_cast<const std::byte*>(this + 1);
    }
};
static_assert(sizeof(MessageSlot) == 16);

inline constexpr std::size_t message_slot_bytes = 128;
inline constexpr std::size_t inline_message_bytes = message_slot_bytes - sizeof(MessageSlot);

} // namespace multifork::arena
