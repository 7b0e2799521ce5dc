#pragma once

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

// Descriptors and processes: thin names for system calls, with errno turned into exceptions where
// the caller cannot go on, and into a result where it can.

namespace multifork::platform {

/// Moves a new descriptor away from 0, 1 and 2. A program may be started without its standard
/// streams; what it then prints must not go into a mapped file or a pipe of this library.
[[nodiscard]] int above_standard(int fd) noexcept;

/// Owns one file descriptor.
class Descriptor {
public:
    Descriptor() noexcept = default;
    explicit Descriptor(int fd) noexcept : fd_(above_standard(fd)) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    ~Descriptor() { reset(); }

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    void reset() noexcept;

private:
    int fd_ = -1;
};

/// Throws Error with errno's meaning: "what: No such file or directory".
[[noreturn]] void throw_errno(const std::string& what);

[[nodiscard]] std::uint32_t thread_id() noexcept;
[[nodiscard]] std::uint32_t process_id() noexcept;

/// An anonymous file in memory, empty as yet; on failure none, and errno.
[[nodiscard]] Descriptor memory_file(const char* name) noexcept;
/// An anonymous file in memory of `size` bytes whose size nobody can change any more.
[[nodiscard]] Descriptor sealed_memory_file(const char* name, std::size_t size);

/// Has the kernel set pages aside for a range of a file, so that a later write cannot fail.
/// Retries on EINTR. \return 0 or an errno
[[nodiscard]] int reserve_pages(int fd, std::size_t offset, std::size_t length) noexcept;

/// Whether the calling process has no other thread. May say false when in doubt.
[[nodiscard]] bool has_one_thread() noexcept;

/// Whether any thread of the process still runs; a zombie does not.
[[nodiscard]] bool process_runs(std::uint32_t pid) noexcept;

/// Whether that process has a thread of that id.
[[nodiscard]] bool thread_exists(std::uint32_t pid, std::uint32_t tid) noexcept;

/// Names the pid namespace of this process; 0 when it cannot be found out.
[[nodiscard]] std::uint64_t pid_namespace() noexcept;

/// A descriptor that becomes readable when the process has ended; empty where the kernel has none.
[[nodiscard]] Descriptor open_pidfd(int pid) noexcept;

/// poll() until a moment of monotonic_ns(), whatever signals come; the greatest number is for ever,
/// one that has passed looks once. \return as poll() does
int poll_until(std::span<pollfd> entries, std::int64_t until_ns) noexcept;

/// Waits until `fd` is readable (or its other end is gone). \return false when the time ran out
[[nodiscard]] bool wait_readable(int fd, std::int64_t until_ns) noexcept;

} // namespace multifork::platform
