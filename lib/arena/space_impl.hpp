#pragma once

#include "arena/heap.hpp"
#include "memory/mapping.hpp"
#include "platform/system.hpp"

#include <multifork/arena/space.hpp>

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace multifork::arena {

/// The process-local half of a Space: where the segment is mapped, and who this process is in it.
class Space::Impl {
public:
    /// Maps `bytes` of `map_fd`.
    /// \param keep  the descriptor by which pages are set aside later; a named segment has all of
    /// its pages
    ///              already, and must not keep one: it would keep the file's lock
    Impl(int map_fd, std::size_t bytes, platform::Descriptor keep = {});

    /// Initialises zeroed bytes up to, but not including, the magic word.
    static void format(std::byte* base, std::size_t bytes, std::uint32_t thread_slots,
                       std::uint32_t process_slots) noexcept;

    /// This process's record, made when it has none: after a raw clone(), say.
    struct Self {
        std::uint64_t serial;
        std::uint32_t record;
    };
    [[nodiscard]] Self self();
    [[nodiscard]] std::optional<Self> self_if_any();
    /// Makes the record at `index` this process's own.
    void become(std::uint32_t index) noexcept;
    void set_process_name(std::string_view name);

    platform::Descriptor fd;
    memory::Mapping mapping;
    liveness::Domain domain;
    Heap heap;

private:
    std::mutex mutex_;
    std::uint32_t self_pid_ = 0;
    Self self_{0, 0};
};

/// The arena if it was made already, else nullptr.
[[nodiscard]] Space* tree_space_if_any() noexcept;

/// Names the calling process in the arena, for those who ask who holds a lock.
void set_process_name(std::string_view name);

/// The record that the last fork of this thread made for its child; reset by the call.
struct Born {
    bool any;
    std::uint32_t record;
};
[[nodiscard]] Born take_born() noexcept;

/// The parent tells the pid of the child for which the record was made.
void name_born(std::uint32_t record, std::uint32_t pid, std::string_view name) noexcept;

} // namespace multifork::arena
