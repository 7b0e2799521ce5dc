#include "memory/segment_file.hpp"

#include <multifork/error.hpp>

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace multifork::memory {
namespace {

constexpr std::string_view prefix = "multifork.";
constexpr std::size_t longest_name = 200;

std::string directory() {
    const char* chosen = ::secure_getenv("MULTIFORK_SHM_DIR");
    return chosen != nullptr && *chosen != '\0' ? chosen : "/dev/shm";
}

std::string path_of(std::string_view name) {
    if (name.empty())
        throw InvalidArgument("a shared object's name must not be empty");
    if (name.size() > longest_name)
        throw InvalidArgument(
            fmt::format("the name of a shared object has {} characters; at most {} will do",
                        name.size(), longest_name));
    if (name.find('\0') != std::string_view::npos) // not shown: what() would end there
        throw InvalidArgument("a shared object's name must not contain a zero byte");
    if (name.find('/') != std::string_view::npos)
        throw InvalidArgument(
            fmt::format("'{}' cannot name a shared object: a name has no slash", name));
    return fmt::format("{}/{}{}", directory(), prefix, name);
}

bool lock_file(int fd, int how) noexcept {
    int r = 0;
    do {
        r = ::flock(fd, how);
    } while (r != 0 && errno == EINTR);
    return r == 0;
}

std::uint64_t magic_of(int fd) noexcept {
    std::uint64_t magic = 0;
    return ::pread(fd, &magic, sizeof magic, 0) == sizeof magic ? magic : 0;
}

/// Held by whoever takes a file's name away, from the look at the name on: so that the name means
/// this file until then. A record lock, which has nothing to do with the file's flock.
class Unnaming {
public:
    explicit Unnaming(int fd) noexcept : fd_(fd) {
        // Others hold it for two system calls. Should one be stopped there, or be killed and leave
        // it to a child that another of its threads has just forked, it is not waited for: then
        // this is as good as no lock.
        const int longest_ms = longest_unnaming_ms.load(std::memory_order_relaxed);
        for (int i = 0; !set(F_WRLCK) && (errno == EAGAIN || errno == EACCES) && i < longest_ms;
             ++i)
            ::usleep(1'000);
    }
    ~Unnaming() { static_cast<void>(set(F_UNLCK)); }
    Unnaming(const Unnaming&) = delete;
    Unnaming& operator=(const Unnaming&) = delete;

    [[nodiscard]] bool still_named(const std::string& path) const noexcept {
        struct stat opened {};
        struct stat named {};
        return ::fstat(fd_, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
               opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
    }

private:
    // Of the open file, not of the process: it keeps threads apart too.
    [[nodiscard]] bool set(short type) const noexcept {
        struct flock whole {};
        whole.l_type = type;
        whole.l_whence = SEEK_SET;
        return ::fcntl(fd_, F_OFD_SETLK, &whole) == 0;
    }
    int fd_;
};

std::optional<FileId> id_of(int fd) noexcept {
    struct stat status {};
    if (::fstat(fd, &status) != 0)
        return std::nullopt;
    return FileId{status.st_dev, status.st_ino};
}

/// Takes the lock of a user. Who removes a leftover has the other one for a few system calls;
/// should it be stopped there, or be killed and leave its lock to a child that another of its
/// threads has just forked, it is not waited for. \return false then: nobody uses the file
bool lock_for_use(int fd, const std::string& path) {
    const int longest_ms = longest_unnaming_ms.load(std::memory_order_relaxed);
    for (int i = 0; !lock_file(fd, LOCK_SH | LOCK_NB); ++i) {
        if (errno != EWOULDBLOCK)
            platform::throw_errno("locking " + path);
        if (i >= longest_ms)
            return false;
        ::usleep(1'000);
    }
    return true;
}

/// Unlinks the file at `path` if it is a leftover. `fd` is open on it, without a lock.
bool remove_if_leftover(int fd, const std::string& path) noexcept {
    if (!lock_file(fd, LOCK_EX | LOCK_NB))
        return false;
    // Under the exclusive lock: nobody who is in time has it open; is it still what the path names?
    bool same = false;
    {
        const Unnaming alone(fd);
        same = alone.still_named(path);
        if (same)
            ::unlink(path.c_str());
    }
    lock_file(fd, LOCK_UN);
    return same;
}

} // namespace

constinit std::atomic<int> longest_unnaming_ms{1'000};

platform::Descriptor reopen(const platform::Descriptor& fd, const std::string& path) {
    const std::string self = fmt::format("/proc/self/fd/{}", fd.get());
    platform::Descriptor again(::open(self.c_str(), O_RDWR | O_CLOEXEC));
    if (!again)
        platform::throw_errno("opening " + path + " once more (is /proc mounted?)");
    return again;
}

SegmentFile::SegmentFile(platform::Descriptor fd, std::string path)
    : fd_(std::move(fd)), path_(std::move(path)) {
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0)
        platform::throw_errno(path_);
    id_ = {status.st_dev, status.st_ino};
    bytes_ = static_cast<std::size_t>(status.st_size);
}

std::optional<SegmentFile> SegmentFile::open(std::string_view name, std::uint64_t magic) {
    const std::string path = path_of(name);
    for (;;) {
        platform::Descriptor fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
        if (!fd && errno == ENOENT)
            return std::nullopt;
        struct stat status {};
        const int error = errno;
        const bool foreign =
            (fd ? ::fstat(fd.get(), &status) : ::lstat(path.c_str(), &status)) == 0 &&
            status.st_uid != ::geteuid();
        if (foreign)
            throw Error(
                std::errc::permission_denied,
                fmt::format("the shared object '{}' belongs to another user (uid {}); choose "
                            "another name",
                            name, status.st_uid));
        errno = error;
        if (!fd && (error == EISDIR || error == ELOOP))
            throw LayoutMismatch(fmt::format(
                "the shared object '{}' cannot be opened: {} is a directory or a symbolic link; "
                "remove it, or choose another name",
                name, path));
        if (!fd)
            platform::throw_errno(path);
        if (magic_of(fd.get()) == magic && remove_if_leftover(fd.get(), path))
            continue;
        if (!lock_for_use(fd.get(), path)) {
            if (magic_of(fd.get()) != magic)
                throw LayoutMismatch(fmt::format(
                    "the file {} of the shared object '{}' was not made by multifork, and another "
                    "program has locked it; choose another name",
                    path, name));
            const Unnaming alone(fd.get());
            if (alone.still_named(path))
                ::unlink(path.c_str());
            continue;
        }
        if (::fstat(fd.get(), &status) == 0 && status.st_nlink == 0)
            continue; // it went meanwhile
        return SegmentFile(std::move(fd), path);
    }
}

bool SegmentFile::remove(std::string_view name, FileId only) {
    return remove_path(path_of(name), only);
}
bool SegmentFile::remove(std::string_view name) {
    return remove_path(path_of(name), std::nullopt);
}

bool SegmentFile::remove_path(const std::string& path, std::optional<FileId> only) {
    for (;;) {
        const platform::Descriptor fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
        std::optional<Unnaming> alone;
        if (fd)
            alone.emplace(fd.get());
        if (alone && !alone->still_named(path))
            continue;
        if (only && (!fd || id_of(fd.get()) != only))
            return false;
        // What cannot be opened is no file of ours; the kernel says whether it may go.
        if (::unlink(path.c_str()) == 0)
            return true;
        if (errno == ENOENT)
            return false;
        platform::throw_errno("removing " + path);
    }
}

std::vector<std::string> SegmentFile::remove_stale(std::uint64_t magic) {
    std::vector<std::string> removed;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(directory(), error)) {
        const std::string file = entry.path().filename().string();
        if (!file.starts_with(prefix))
            continue;
        const platform::Descriptor fd(
            ::open(entry.path().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
        if (fd && magic_of(fd.get()) == magic &&
            remove_if_leftover(fd.get(), entry.path().string()))
            removed.push_back(file.substr(prefix.size()));
    }
    return removed;
}

void SegmentFile::read(void* to, std::size_t length) const noexcept {
    static_cast<void>(!::pread(fd_.get(), to, length, 0));
}

bool SegmentFile::begins_with(std::uint64_t magic) const noexcept {
    return magic_of(fd_.get()) == magic;
}

void SegmentFile::close_and_remove_if_last() noexcept {
    if (!fd_)
        return;
    fd_.reset();
    // Opened anew, because an flock belongs to the open file, which a forked child shares: through
    // the old descriptor the exclusive lock would succeed under the child's feet.
    const platform::Descriptor again(::open(path_.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (again)
        remove_if_leftover(again.get(), path_);
}

NewSegmentFile::NewSegmentFile(std::string_view name, std::size_t bytes) : path_(path_of(name)) {
    const std::string where = directory();
    fd_ = platform::Descriptor(::open(where.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!fd_ && errno == ENOSPC)
        throw OutOfSharedMemory(fmt::format(
            "{} has no room for one more file, '{}'; remove something there", where, name));
    if (!fd_)
        platform::throw_errno("making a file in " + where);
    ::fchmod(fd_.get(), 0600); // whatever the umask
    if (::ftruncate(fd_.get(), static_cast<off_t>(bytes)) != 0)
        platform::throw_errno("sizing " + path_);
    const int error = platform::reserve_pages(fd_.get(), 0, bytes);
    if (error == ENOSPC || error == ENOMEM || error == EFBIG) {
        struct statvfs room {};
        ::statvfs(where.c_str(), &room);
        throw OutOfSharedMemory(fmt::format(
            "{} has no room for the shared object '{}': {} bytes were asked for, {} are free; "
            "remove something there, or ask for less",
            where, name, bytes, room.f_bavail * room.f_frsize));
    }
    if (error != 0) {
        errno = error;
        platform::throw_errno("setting pages aside for " + path_);
    }
    lock_file(fd_.get(), LOCK_SH); // before anybody can find the file
}

std::optional<SegmentFile> NewSegmentFile::publish() {
    const std::string self = fmt::format("/proc/self/fd/{}", fd_.get());
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) == 0)
        return SegmentFile(std::move(fd_), path_);
    if (errno == EEXIST)
        return std::nullopt;
    platform::throw_errno("naming " + path_);
}

} // namespace multifork::memory
