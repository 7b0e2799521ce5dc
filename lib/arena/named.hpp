#pragma once

#include "memory/segment_file.hpp"

#include <multifork/arena/object.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace multifork::arena {

/// A space in a named file, as one process has it open.
class NamedSpace : public Space {
public:
    NamedSpace(std::unique_ptr<Impl> impl, std::uint64_t root, std::size_t root_bytes,
               memory::SegmentFile file, std::string name);
    ~NamedSpace();

    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    /// Offset of the one object, as it was when the header was checked.
    [[nodiscard]] std::uint64_t root() const noexcept { return root_; }
    [[nodiscard]] std::size_t root_bytes() const noexcept { return root_bytes_; }
    [[nodiscard]] memory::SegmentFile& file() noexcept { return file_; }

private:
    std::uint64_t root_;
    std::size_t root_bytes_;
    memory::SegmentFile file_;
    std::string name_;
};

/// The named object that another process of the tree told of. \throws NotFound, LayoutMismatch
[[nodiscard]] std::shared_ptr<NamedSpace> open_named(const std::string& name, Kind kind,
                                                     std::size_t root_bytes);

/// Which file a named object lies in: a name may mean another one later.
[[nodiscard]] memory::FileId file_of(const Object& object);
/// Takes the name away if it means that file. \return false when it does not
[[nodiscard]] bool remove_named(std::string_view name, memory::FileId file);

/// For the end of a process that runs no destructors: gives the named files up, and removes those
/// that nobody else has open. The memory stays mapped.
void leave_named_segments() noexcept;

void lock_named_for_fork();
void unlock_named_after_fork() noexcept;

} // namespace multifork::arena
