#pragma once

#include "memory/segment_file.hpp"

#include <multifork/arena/object.hpp>

#include <memory>

namespace multifork::arena {

/// A space in a named file, as one process has it open.
class NamedSpace : public Space {
public:
    NamedSpace(std::unique_ptr<Impl> impl, memory::SegmentFile file);
    ~NamedSpace();

    [[nodiscard]] memory::SegmentFile& file() noexcept { return file_; }

private:
    memory::SegmentFile file_;
};

/// For the end of a process that runs no destructors: gives the named files up, and removes those
/// that nobody else has open. The memory stays mapped.
void leave_named_segments() noexcept;

/// Whether leftovers of a killed child of this process are possible at all.
[[nodiscard]] bool any_named_segment_was_opened() noexcept;

void lock_named_for_fork();
void unlock_named_after_fork() noexcept;

} // namespace multifork::arena
