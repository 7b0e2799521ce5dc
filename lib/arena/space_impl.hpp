#pragma once

#include "arena/heap.hpp"
#include "memory/mapping.hpp"
#include "platform/system.hpp"

#include <multifork/arena/space.hpp>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace multifork::arena {

/// The process-local half of a Space: where the segment is mapped, and who this process is in it.
class Space::Impl {
public:
    /// Maps a segment of that shape, which must be one that can be trusted.
    /// \param keep  the descriptor by which pages are set aside later; a named segment has all of
    /// its pages
    ///              already, and must not keep one: it would keep the file's lock
    Impl(int map_fd, const SegmentShape& shape, platform::Descriptor keep = {});

    /// Initialises zeroed bytes up to, but not including, the magic word.
    static void format(std::byte* base, const SegmentShape& shape) noexcept;

    /// This process's record, made when it has none: after a raw clone(), say. \throws
    /// TooManyThreads
    [[nodiscard]] ProcessId self();
    [[nodiscard]] std::optional<ProcessId> self_if_any() const noexcept;
    /// In a forked child: makes the record that its parent has begun its own, if it is still that.
    void become(ProcessId born) noexcept;
    /// Around a fork, so that the child does not inherit a mutex that another thread holds.
    void hold_for_fork() { making_self_.lock(); }
    void let_go_after_fork() noexcept { making_self_.unlock(); }
    void set_process_name(std::string_view name);
    /// Makes the calling thread the one by whose beacon others learn of the end of this process,
    /// unless there is one already.
    void anchor_here() noexcept;
    /// The thread `me` leaves: another one of this process takes that over, if any is attached.
    void hand_anchor_on(liveness::ThreadWord me) noexcept;

    platform::Descriptor fd;
    memory::Mapping mapping;
    liveness::Domain domain;
    Heap heap;

private:
    void know_self(ProcessId self) noexcept;

    std::mutex making_self_; // of what follows; readers go without
    std::atomic<std::uint32_t> self_record_{0};
    std::atomic<std::uint64_t> self_serial_{0};
    std::atomic<std::uint32_t> self_pid_{0}; // stored last: whose the two above are
};

/// The arena if it was made already, else nullptr.
[[nodiscard]] Space* tree_space_if_any() noexcept;

/// Names the calling process in the arena, for those who ask who holds a lock.
void set_process_name(std::string_view name);

/// Begins the record of the child that this thread will fork next, so that a full table is an error
/// before there is a child. \throws TooManyThreads
void reserve_child(std::string_view name);

/// The record that the last fork of this thread made for its child; serial 0: none. Reset by the
/// call.
[[nodiscard]] ProcessId take_born() noexcept;

/// The parent tells the pid of the child for which the record was made.
void born_as(ProcessId born, std::uint32_t pid) noexcept;

} // namespace multifork::arena
