#include "process/lifeline.hpp"

#include "platform/immortal.hpp"
#include "platform/system.hpp"

#include <multifork/error.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <system_error>
#include <utility>

namespace multifork::detail {
namespace {

/// A descriptor of ours that the program may have closed, as daemons close all that they have; then
/// its number may by now be that of a file of the program's.
class End {
public:
    End() = default;
    explicit End(int fd) noexcept : fd_(fd) {
        struct stat status {};
        if (::fstat(fd, &status) != 0)
            fd_ = -1;
        device_ = status.st_dev;
        file_ = status.st_ino;
    }
    /// The descriptor; -1 when it is ours no more.
    [[nodiscard]] int get() const noexcept {
        struct stat status {};
        const bool ours = fd_ >= 0 && ::fstat(fd_, &status) == 0 && status.st_dev == device_ &&
                          status.st_ino == file_;
        return ours ? fd_ : -1;
    }
    void close() noexcept {
        if (const int fd = get(); fd >= 0)
            ::close(fd);
        fd_ = -1;
    }

private:
    int fd_ = -1;
    dev_t device_ = 0;
    ino_t file_ = 0;
};

struct Lifeline {
    std::mutex mutex;
    End read_end;         // of this process's own pipe
    End write_end;        // held by this process alone: its children close theirs
    End parents_read_end; // in a child: what it was forked with
    End hold;             // in a daemon: the same, opened anew
};

constinit platform::Immortal<Lifeline> the_lifeline;

Lifeline& lifeline() noexcept {
    return *the_lifeline;
}

} // namespace

void lock_lifeline_for_fork() {
    lifeline().mutex.lock();
}
void unlock_lifeline_after_fork() noexcept {
    lifeline().mutex.unlock();
}
void cut_lifeline_in_child() noexcept {
    Lifeline& line = lifeline();
    line.write_end.close();
    line.parents_read_end.close();
    line.parents_read_end = std::exchange(line.read_end, {});
    let_go_of_forkers_parent();
    line.mutex.unlock();
}

void prepare_lifeline() {
    Lifeline& line = lifeline();
    const std::scoped_lock hold(line.mutex);
    if (line.write_end.get() >= 0 && line.read_end.get() >= 0)
        return;
    line.write_end.close();
    line.read_end.close();
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        platform::throw_errno("making the pipe that ties daemons to this process");
    line.read_end = End(platform::above_standard(ends[0]));
    line.write_end = End(platform::above_standard(ends[1]));
}

int lifeline_descriptor() noexcept {
    return lifeline().read_end.get();
}
void take_lifeline(int descriptor) noexcept {
    lifeline().parents_read_end = End(descriptor);
}

void hold_on_to_parent() {
    // The signal's addressee belongs to the open file, and all children share the inherited one:
    // open the pipe once more.
    std::array<char, 64> path;
    std::snprintf(path.data(), path.size(), "/proc/self/fd/%d", lifeline().parents_read_end.get());
    const int own =
        ::open(path.data(), O_RDONLY | O_NONBLOCK); // kept, over exec too, as long as the process
    if (own < 0)
        throw ProcessError(
            static_cast<std::errc>(errno),
            fmt::format("a daemon cannot be tied to its parent: {}; it needs /proc and one "
                        "descriptor of its own, and the limit for them is RLIMIT_NOFILE",
                        std::generic_category().message(errno)));
    lifeline().hold = End(own);
    ::fcntl(own, F_SETOWN, ::getpid());
    ::fcntl(own, F_SETSIG, SIGKILL);
    ::fcntl(own, F_SETFL, O_RDONLY | O_NONBLOCK | O_ASYNC);
    pollfd line{own, POLLIN, 0};
    if (::poll(&line, 1, 0) > 0 && (line.revents & POLLHUP) != 0)
        ::kill(::getpid(), SIGKILL);
}

void let_go_of_forkers_parent() noexcept {
    lifeline().hold.close();
}

} // namespace multifork::detail
