#pragma once

#include <multifork/arena/object.hpp>
#include <multifork/channel/outgoing.hpp>
#include <multifork/core/lease_queue.hpp>
#include <multifork/error.hpp>
#include <multifork/platform/clock.hpp>
#include <multifork/platform/export.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

namespace multifork {

/// What a JoinableQueue is, whatever the type of its items: bytes go in, and are leased.
///
/// An item whose bytes do not fit into a slot lies in a block of shared memory that belongs to the
/// queue from before the item is queued until after it is done.
class MULTIFORK_API TaskQueue {
public:
    /// \param messages  the payloads are arena::MessageSlot; else item_bytes each
    struct Layout {
        core::LeaseShape shape;
        std::size_t item_bytes = 0;
        bool messages = false;
        /// \throws InvalidArgument for a capacity of 0 or one that no machine has memory for
        static Layout make(std::size_t capacity, std::size_t item_bytes, bool messages);
        [[nodiscard]] arena::Kind kind() const noexcept {
            return messages ? arena::Kind::message_leases : arena::Kind::leases;
        }
    };
    TaskQueue(arena::Object object, const Layout& layout) noexcept
        : object_(std::move(object)), layout_(layout), owned_(object_) {}

    /// \throws OutOfSharedMemory
    [[nodiscard]] core::LeaseResult put(const Outgoing& message, platform::Deadline deadline) const;
    [[nodiscard]] core::LeaseResult get(platform::Deadline deadline,
                                        core::LeaseToken& token) const {
        return core::lease_get(core(), deadline, token);
    }
    /// The bytes of a leased item, in place. \throws CorruptSharedMemory
    [[nodiscard]] std::span<const std::byte> bytes(const core::LeaseToken& token) const;

    [[nodiscard]] core::LeaseQueue core() const noexcept {
        return {*reinterpret_cast<core::LeaseHeader*>(object_.data()), layout_.shape,
                object_.space().domain(), payload()};
    }
    [[nodiscard]] const Layout& layout() const noexcept { return layout_; }
    [[nodiscard]] const arena::Object& object() const noexcept { return object_; }

private:
    /// Gives up the blocks of messages.
    class Blocks final : public core::LeasePayload {
    public:
        explicit Blocks(const arena::Object& object) noexcept : object_(object) {}
        void drop(std::byte* payload, std::uint64_t position) const noexcept override;

    private:
        const arena::Object& object_;
    };
    class Nothing final : public core::LeasePayload {};

    [[nodiscard]] const core::LeasePayload& payload() const noexcept {
        return layout_.messages ? static_cast<const core::LeasePayload&>(owned_) : nothing_;
    }

public:
    TaskQueue(const TaskQueue&) = delete;
    TaskQueue& operator=(const TaskQueue&) = delete;

private:
    arena::Object object_;
    Layout layout_;
    Blocks owned_;
    Nothing nothing_;
};

namespace detail {
/// Whether reading the item once more would end in the same way: it is damaged, or what it names
/// is gone.
[[nodiscard]] MULTIFORK_API bool stays_unreadable(const Error& error) noexcept;
} // namespace detail

/// The part of a lease that does not know the item's type.
class MULTIFORK_API LeaseTicket {
public:
    LeaseTicket(std::shared_ptr<const TaskQueue> queue, const core::LeaseToken& token) noexcept;
    /// Gives the item back, unless it is done.
    ~LeaseTicket();
    LeaseTicket(LeaseTicket&& other) noexcept = default;
    LeaseTicket& operator=(LeaseTicket&& other) noexcept;

    /// How often the item has been given out, this time included: 1 unless somebody died with it or
    /// gave it back.
    [[nodiscard]] unsigned tries() const noexcept { return token_.tries; }
    /// Whether task_done() and give_back() are still to come.
    [[nodiscard]] bool held() const noexcept { return queue_ != nullptr; }

    /// The item is done: it will not be delivered again, and join() does not wait for it any more.
    /// \throws NotOwner the second time; when the thread that got the item has ended meanwhile, so
    /// that another has got it; and in a forked child, which has none of its parent's leases
    void task_done();
    /// The item is not done: another getter, or this one, gets it next. \throws NotOwner as
    /// task_done()
    void give_back();

private:
    void give_back_quietly() noexcept;
    [[nodiscard]] std::shared_ptr<const TaskQueue> end(const char* what);

    std::shared_ptr<const TaskQueue> queue_; // empty: the lease has ended
    core::LeaseToken token_;
    std::uint32_t process_; // a forked child has a copy of the object, and no lease
};

} // namespace multifork
