#pragma once

#include "memory/segment_file.hpp"

#include <multifork/arena/object.hpp>

#include <cstdint>
#include <memory>

namespace multifork::arena {

/// A space in a named file, as one process has it open.
class NamedSpace : public Space {
public:
    NamedSpace(std::unique_ptr<Impl> impl, std::uint64_t root, std::size_t root_bytes,
               memory::SegmentFile file);
    ~NamedSpace();

    /// Offset of the one object, as it was when the header was checked.
    [[nodiscard]] std::uint64_t root() const noexcept { return root_; }
    [[nodiscard]] std::size_t root_bytes() const noexcept { return root_bytes_; }
    [[nodiscard]] memory::SegmentFile& file() noexcept { return file_; }

private:
    std::uint64_t root_;
    std::size_t root_bytes_;
    memory::SegmentFile file_;
};

/// For the end of a process that runs no destructors: gives the named files up, and removes those
/// that nobody else has open. The memory stays mapped.
void leave_named_segments() noexcept;

void lock_named_for_fork();
void unlock_named_after_fork() noexcept;

} // namespace multifork::arena
