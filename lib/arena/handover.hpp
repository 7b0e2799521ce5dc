#pragma once

#include "arena/layout.hpp"

#include <multifork/arena/crossing.hpp>
#include <multifork/arena/object.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

// How a process that was not forked gets into the arena of its parent: a variable in its
// environment says which descriptor is the arena, which record is its own, and where its parcel
// lies, a message with all the rest.

namespace multifork::arena {

struct Handover {
    std::uint64_t bytes = 0; ///< of the arena
    ProcessId self;
    std::uint64_t parcel = 0; ///< offset; owned by that process
    std::uint64_t parcel_bytes = 0;
    std::uint64_t descriptors = 0; ///< how many come with it that its connections need
};

/// The arena's descriptor, for the child to have as its descriptor 3. \throws Error when this
/// program has closed it
[[nodiscard]] int arena_descriptor();
inline constexpr int handed_over_descriptor = 3;

/// "MULTIFORK_CHILD=..."
[[nodiscard]] std::string handover_variable(const Handover& handover);

/// In the new process, before anything else runs: notes what the environment says, and takes it
/// from there, so that no program that this one starts takes itself for that child. Once.
void take_handover() noexcept;
/// Whether this program has rights that who started it does not have (set-user-ID, capabilities of
/// its file). Such a one cannot be spawned: it takes no orders from its environment.
[[nodiscard]] bool has_borrowed_rights() noexcept;
/// What was noted; nothing in a process that was not spawned.
[[nodiscard]] const std::optional<Handover>& handover() noexcept;

/// Begins the record of a child that this process will not fork itself.
/// \param inherits  it is forked by another, and has what that one has \throws TooManyThreads
[[nodiscard]] ProcessId begin_child(std::string_view name, bool inherits);
/// It will not be born after all.
void end_child(ProcessId child) noexcept;

/// Puts a message into the arena, with a hold on each object whose handle is in it, for that child
/// alone. \return its offset \throws OutOfSharedMemory
[[nodiscard]] std::uint64_t give_parcel(std::span<const std::byte> bytes, const Cargo& cargo,
                                        ProcessId child);
/// In the child: the message, which is freed with this object.
class Parcel {
public:
    /// \throws CorruptSharedMemory
    Parcel(std::uint64_t offset, std::uint64_t bytes);
    ~Parcel();
    Parcel(const Parcel&) = delete;
    Parcel& operator=(const Parcel&) = delete;
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }

private:
    std::uint64_t offset_;
    std::span<const std::byte> bytes_;
};

/// Ends of pipes that are encoded while it lives belong to that child from then on.
class BoundFor {
public:
    explicit BoundFor(ProcessId child) noexcept;
    ~BoundFor();
    BoundFor(const BoundFor&) = delete;
    BoundFor& operator=(const BoundFor&) = delete;
    [[nodiscard]] static ProcessId destination() noexcept;
};

/// Around platform::clone_for_parent(), in a process of one thread: what fork handlers do.
void before_clone();
void after_clone_in_parent() noexcept;
/// \param born  the record that the child is to be
void after_clone_in_child(ProcessId born) noexcept;

} // namespace multifork::arena
