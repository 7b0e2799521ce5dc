#pragma once

#include "arena/heap.hpp"

#include <multifork/arena/object.hpp>
#include <multifork/core/pipe_cell.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

namespace multifork::arena {

/// One end of a one-way pipe, as this process holds it. A forked child holds a copy of each.
///
/// It is given up by close(), by the destructor, at the end of the process, and by the kernel.
/// Threads that are inside an operation keep it alive until they have left.
class PipeEnd {
public:
    /// Where an end is, in a message. Trivially copyable; means nothing outside the process tree.
    struct Reference {
        std::uint64_t offset;
        std::uint64_t capacity;
        std::uint64_t entry;
        std::uint32_t index;
        std::uint32_t role;
    };

    /// Makes a pipe in the arena. \throws OutOfSharedMemory, InvalidArgument
    struct Both {
        std::shared_ptr<PipeEnd> reader;
        std::shared_ptr<PipeEnd> writer;
    };
    static Both make(std::size_t capacity);

    /// Takes an entry for a copy that travels in a message. \throws OutOfSharedMemory
    [[nodiscard]] Reference send_copy();
    /// Gives that up: the message was not sent.
    static void cancel(const Reference& reference) noexcept;
    /// The end that has arrived. \return nothing when its sender has ended meanwhile
    static std::shared_ptr<PipeEnd> receive(const Reference& reference);

    PipeEnd(Object object, core::RingShape shape, core::PipeRole role, Heap::PipeEntry entry);
    ~PipeEnd();
    PipeEnd(const PipeEnd&) = delete;
    PipeEnd& operator=(const PipeEnd&) = delete;

    /// No operation begins from now on, those under way end, and the end is given up when they
    /// have.
    void close() noexcept;
    [[nodiscard]] bool closed() const noexcept { return closed_.load(); }

    /// Begins an operation, which keeps the end. \return false when it was closed
    [[nodiscard]] bool begin_use() noexcept;
    void end_use() noexcept;

    /// Keeps the end for the time of an operation.
    class Use {
    public:
        /// \throws ConnectionClosed
        explicit Use(PipeEnd& end);
        ~Use() { end_.end_use(); }
        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;

    private:
        PipeEnd& end_;
    };

    [[nodiscard]] const Object& object() const noexcept { return object_; }
    [[nodiscard]] const core::RingShape& shape() const noexcept { return shape_; }
    [[nodiscard]] core::PipeRole role() const noexcept { return role_; }
    [[nodiscard]] core::PipeCell& cell() const noexcept { return cell_; }
    [[nodiscard]] core::RingHeader& ring() const noexcept { return cell_.ring(); }

    /// Who holds the other end.
    [[nodiscard]] Heap::Holders peers(liveness::Sleep* sleep) const noexcept;
    /// Whether certainly nobody holds the other end. \throws TooManyThreads, Error
    [[nodiscard]] bool deserted() const;

private:
    friend struct PipeEnds;
    [[nodiscard]] core::PipeRole other() const noexcept {
        return role_ == core::PipeRole::reader ? core::PipeRole::writer : core::PipeRole::reader;
    }
    [[nodiscard]] std::uint64_t block() const noexcept;
    /// Threads that sleep in an operation on this end look again, and leave if it is closed.
    void wake_who_is_inside() noexcept;

    Object object_;
    core::RingShape shape_;
    core::PipeRole role_;
    core::PipeCell& cell_;
    Heap::PipeEntry entry_;
    Heap::PipeEntry childs_entry_; // between a fork's two handlers
    std::uint32_t pid_;            // whose entry it is: a raw clone's copy is nobody's
    std::atomic<bool> closed_{false};
    std::atomic<std::uint32_t> uses_{1};
};

/// For the end of a process that runs no destructors: closes all ends. Those that a thread is still
/// using stay until it has left, or the kernel has ended it.
void leave_pipe_ends() noexcept;

/// Whether this process holds any end: if not, nobody sleeps until it ends.
[[nodiscard]] bool holds_pipe_ends() noexcept;

/// Around a fork: takes an end for the child wherever this process has one.
void lock_pipe_ends_for_fork();
void take_pipe_ends_for_child(ProcessId born) noexcept;
void unlock_pipe_ends_after_fork() noexcept;
void keep_pipe_ends_in_child(bool recorded) noexcept;

} // namespace multifork::arena
