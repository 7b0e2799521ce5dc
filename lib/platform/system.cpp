#include "platform/system.hpp"

#include <multifork/error.hpp>
#include <multifork/platform/clock.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

#include <atomic>
#include <cerrno>
#include <csignal>
#include <limits>

namespace multifork::platform {

int above_standard(int fd) noexcept {
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (moved < 0)
        return fd;
    ::close(fd);
    return moved;
}

void Descriptor::reset() noexcept {
    if (fd_ >= 0)
        ::close(fd_);
    fd_ = -1;
}

void throw_errno(const std::string& what) {
    const std::error_code code(errno, std::generic_category());
    throw Error(code, what + ": " + code.message());
}

std::uint32_t thread_id() noexcept {
    return static_cast<std::uint32_t>(::syscall(SYS_gettid));
}

std::uint32_t process_id() noexcept {
    return static_cast<std::uint32_t>(::getpid());
}

Descriptor memory_file(const char* name) noexcept {
    // Linux 6.3 and later can be told to refuse files that could become programs.
    constexpr unsigned no_program = 0x8; // MFD_NOEXEC_SEAL
    constexpr unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    Descriptor file(::memfd_create(name, flags | no_program));
    if (!file && errno == EINVAL)
        file = Descriptor(::memfd_create(name, flags));
    return file;
}

Descriptor sealed_memory_file(const char* name, std::size_t size) {
    Descriptor fd = memory_file(name);
    if (!fd)
        throw_errno("memfd_create for the shared arena");
    if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0)
        throw_errno("sizing the shared arena");
    if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        throw_errno("sealing the shared arena");
    return fd;
}

int reserve_pages(int fd, std::size_t offset, std::size_t length) noexcept {
    for (;;) {
        if (::fallocate(fd, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                        static_cast<off_t>(length)) == 0)
            return 0;
        if (errno != EINTR)
            return errno;
    }
}

bool has_one_thread() noexcept {
#if __has_include(<sys/single_threaded.h>)
    return __libc_single_threaded != 0;
#else
    return false;
#endif
}

bool process_runs(std::uint32_t pid) noexcept {
    if (pid == 0)
        return false;
    if (::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH)
        return false;
    const Descriptor pidfd = open_pidfd(static_cast<int>(pid));
    if (!pidfd)
        return errno != ESRCH;
    return !wait_readable(pidfd.get(), 0);
}

bool thread_exists(std::uint32_t pid, std::uint32_t tid) noexcept {
    return ::syscall(SYS_tgkill, pid, tid, 0) == 0 || errno != ESRCH;
}

std::uint64_t pid_namespace() noexcept {
    // Asked anew each time, since a forked child may be in another one. What was known last is for
    // a process that has lost sight of /proc, as by chroot().
    static std::atomic<std::uint64_t> last{0};
    struct stat status {};
    if (::stat("/proc/self/ns/pid", &status) == 0)
        last.store(status.st_ino, std::memory_order_relaxed); // guards nothing
    return last.load(std::memory_order_relaxed);
}

Descriptor open_pidfd(int pid) noexcept {
    return Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

int poll_until(std::span<pollfd> entries, std::int64_t until_ns) noexcept {
    constexpr std::int64_t second = 1'000'000'000;
    for (;;) {
        timespec left{};
        const bool for_ever = until_ns == std::numeric_limits<std::int64_t>::max();
        if (const std::int64_t now = monotonic_ns(); !for_ever && until_ns > now)
            left = {static_cast<std::time_t>((until_ns - now) / second),
                    static_cast<long>((until_ns - now) % second)};
        const int r = ::ppoll(entries.data(), entries.size(), for_ever ? nullptr : &left, nullptr);
        if (r >= 0 || errno != EINTR)
            return r;
    }
}

bool wait_readable(int fd, std::int64_t until_ns) noexcept {
    pollfd entry{fd, POLLIN, 0};
    return poll_until({&entry, 1}, until_ns) != 0; // of a broken one whoever reads it will say so
}

} // namespace multifork::platform
