#include "process/lifeline.hpp"

#include "platform/immortal.hpp"
#include "platform/system.hpp"

#include <multifork/error.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
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

struct Lifeline {
    std::mutex mutex;
    int read_end = -1;         // of this process's own pipe
    int write_end = -1;        // held by this process alone: its children close theirs
    int parents_read_end = -1; // in a child: what it was forked with
    int hold = -1;             // in a daemon: the same, opened anew
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
    if (line.write_end >= 0)
        ::close(line.write_end);
    if (line.parents_read_end >= 0)
        ::close(line.parents_read_end);
    line.parents_read_end = line.read_end;
    line.read_end = line.write_end = -1;
    let_go_of_forkers_parent();
    line.mutex.unlock();
}

void prepare_lifeline() {
    Lifeline& line = lifeline();
    const std::scoped_lock hold(line.mutex);
    if (line.write_end >= 0)
        return;
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        platform::throw_errno("making the pipe that ties daemons to this process");
    line.read_end = platform::above_standard(ends[0]);
    line.write_end = platform::above_standard(ends[1]);
}

int lifeline_descriptor() noexcept {
    return lifeline().read_end;
}
void take_lifeline(int descriptor) noexcept {
    ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    lifeline().parents_read_end = descriptor;
}

void hold_on_to_parent() {
    // The signal's addressee belongs to the open file, and all children share the inherited one:
    // open the pipe once more.
    std::array<char, 64> path;
    std::snprintf(path.data(), path.size(), "/proc/self/fd/%d", lifeline().parents_read_end);
    const int own =
        ::open(path.data(), O_RDONLY | O_NONBLOCK); // kept, over exec too, as long as the process
    if (own < 0)
        throw ProcessError(
            static_cast<std::errc>(errno),
            fmt::format("a daemon cannot be tied to its parent: {}; it needs /proc and one "
                        "descriptor of its own, and the limit for them is RLIMIT_NOFILE",
                        std::generic_category().message(errno)));
    lifeline().hold = own;
    ::fcntl(own, F_SETOWN, ::getpid());
    ::fcntl(own, F_SETSIG, SIGKILL);
    ::fcntl(own, F_SETFL, O_RDONLY | O_NONBLOCK | O_ASYNC);
    pollfd line{own, POLLIN, 0};
    if (::poll(&line, 1, 0) > 0 && (line.revents & POLLHUP) != 0)
        ::kill(::getpid(), SIGKILL);
}

void let_go_of_forkers_parent() noexcept {
    if (const int hold = std::exchange(lifeline().hold, -1); hold >= 0)
        ::close(hold);
}

} // namespace multifork::detail
