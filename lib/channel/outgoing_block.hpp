#pragma once

#include <multifork/arena/message_slot.hpp>
#include <multifork/arena/space.hpp>
#include <multifork/channel/outgoing.hpp>

#include <cstdint>
#include <cstring>

namespace multifork {

/// The block of a message that does not fit into its slot, or that brings handles; freed again
/// unless the message was sent.
class OutgoingBlock {
public:
    /// \throws OutOfSharedMemory, NotShareable
    OutgoingBlock(arena::Space& space, const Outgoing& message) : space_(space) {
        if (message.bytes.size() <= arena::inline_message_bytes && message.cargo == nullptr)
            return;
        offset_ = space.allocate(message.bytes.size(), arena::Kind::bytes);
        try {
            std::memcpy(space.at(offset_), message.bytes.data(), message.bytes.size());
            if (message.cargo != nullptr)
                message.cargo->load_onto(space, offset_);
        } catch (...) {
            space.free(offset_);
            throw;
        }
    }
    ~OutgoingBlock() {
        if (offset_ != 0)
            space_.free(offset_);
    }
    OutgoingBlock(const OutgoingBlock&) = delete;
    OutgoingBlock& operator=(const OutgoingBlock&) = delete;
    /// 0: the message lies in its slot.
    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
    void sent() noexcept { offset_ = 0; }

private:
    arena::Space& space_;
    std::uint64_t offset_ = 0;
};

} // namespace multifork
