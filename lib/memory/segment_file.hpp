#pragma once

#include "platform/system.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// How the files of named objects come and go.
//
//   made         as an unnamed file (O_TMPFILE), all its pages set aside, filled, a shared flock
//                taken on it, and only then linked to its name. Nobody ever opens half a file, and
//                a maker that is killed leaves nothing.
//   open         whoever has the object open holds a shared flock on the file, through the
//                descriptor that a forked child inherits. The kernel drops it with the last of
//                them, however they end. The mapping is made through another open file, because it
//                would keep the lock for as long as it lasts, and it must outlast the object while
//                threads have their beacons in it.
//   leftover     a file on which an exclusive flock succeeds is nobody's: whoever finds it unlinks
//                it while holding that lock, and looks again.
//   last out     closes its descriptor first, and then tries just that: so a forked child that
//                still has the file open keeps it.
//   no name      whoever unlinks one holds a record lock on its file from before the look whether
//                the name means this file. Names are never overwritten: so it does until it is
//                unlinked, and no other file, published meanwhile, goes in its stead.
//   opened late  who gets the shared lock on a file that was unlinked meanwhile (no link left)
//                looks again.

namespace multifork::memory {

/// Opens the file behind `fd` once more. \throws Error
[[nodiscard]] platform::Descriptor reopen(const platform::Descriptor& fd, const std::string& path);

/// How long whoever takes a name away waits for another that is at it. For tests, which stop one.
extern std::atomic<int> longest_unnaming_ms;

struct FileId {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    bool operator==(const FileId&) const = default;
};

/// A named file that this process holds open, with its shared lock.
class SegmentFile {
public:
    /// Opens the file of that name, if there is one and it is not a leftover.
    /// \param magic  the first eight bytes of a file that may be taken away as a leftover
    /// \throws InvalidArgument (the name), Error (another user's file, or errno)
    static std::optional<SegmentFile> open(std::string_view name, std::uint64_t magic);
    /// Unlinks the name. \return false when there is none
    static bool remove(std::string_view name);
    /// The same, if it means that file. \return false when it does not
    static bool remove(std::string_view name, FileId only);
    /// Unlinks all leftovers that begin with `magic`. \return their names
    static std::vector<std::string> remove_stale(std::uint64_t magic);

    [[nodiscard]] FileId id() const noexcept { return id_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    /// Reads the first bytes, or as many as there are.
    void read(void* to, std::size_t length) const noexcept;
    /// Whether the file could be one of ours, as far as its first eight bytes say.
    [[nodiscard]] bool begins_with(std::uint64_t magic) const noexcept;
    /// The file opened once more, without the lock: to map it.
    [[nodiscard]] platform::Descriptor open_to_map() const { return reopen(fd_, path_); }
    void close_and_remove_if_last() noexcept;

private:
    static bool remove_path(const std::string& path, std::optional<FileId> only);

    friend class NewSegmentFile;
    SegmentFile(platform::Descriptor fd, std::string path);

    platform::Descriptor fd_;
    std::string path_;
    FileId id_;
    std::size_t bytes_ = 0;
};

/// A file in the making.
class NewSegmentFile {
public:
    /// \throws InvalidArgument (the name), OutOfSharedMemory, Error
    NewSegmentFile(std::string_view name, std::size_t bytes);
    /// The file opened once more, without the lock: to map it.
    [[nodiscard]] platform::Descriptor open_to_map() const { return reopen(fd_, path_); }
    /// Gives the file its name. \return nothing when the name is taken
    [[nodiscard]] std::optional<SegmentFile> publish();

private:
    platform::Descriptor fd_;
    std::string path_;
};

} // namespace multifork::memory
