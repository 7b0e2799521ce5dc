#include "process/child.hpp"

#include "arena/named.hpp"
#include "arena/space_impl.hpp"
#include "platform/child_process.hpp"
#include "platform/immortal.hpp"

#include <multifork/platform/mutant.hpp>

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <ctime>
#include <utility>

namespace multifork {
namespace detail {
namespace {

struct Children {
    std::mutex mutex;
    int parent = 0; // whose children they are: a forked process has none, and finds that out here
    std::vector<std::weak_ptr<Child>> all;
};

constinit platform::Immortal<Children> all_children;

Children& children() noexcept {
    return *all_children;
}

/// The calling process's own. The mutex is held.
std::vector<std::weak_ptr<Child>>& own_children() {
    Children& mine = children();
    if (std::exchange(mine.parent, ::getpid()) != ::getpid())
        mine.all.clear();
    return mine.all;
}

} // namespace

std::string_view class_name(std::optional<StartMethod> method) noexcept {
    if (!method)
        return "Process";
    switch (*method) {
    case StartMethod::fork:
        return "ForkProcess";
    case StartMethod::spawn:
        return "SpawnProcess";
    case StartMethod::forkserver:
        return "ForkServerProcess";
    }
    return "Process";
}

Child::Child(ProcessOptions options, NewName made)
    : name(options.name.empty() ? std::move(made.name) : std::move(options.name)),
      daemon(options.daemon), method(options.start_method), identity(std::move(made.identity)),
      parent_pid(::getpid()) {}

bool Child::reap_locked() {
    if (exitcode)
        return true;
    using State = platform::Fate::State;
    const platform::Fate fate = platform::reap(pid, descriptor());
    if (fate.state == State::running)
        return false;
    // If somebody else reaped it, or SIGCHLD is ignored: the child may have said how it ended.
    exitcode = fate.state == State::ended ? fate.code : board_in(board).heard_exit().value_or(255);
    kept.clear();
    arena::Heap& heap = arena::tree_space().impl().heap;
    heap.end_process(std::exchange(record, {}));
    if (*exitcode < 0 || !board_in(board).heard_exit()) {
        // Killed, or gone by _exit() or exec: what its threads held in the arena, and named files
        // that only it had open, are nobody's.
        heap.sweep();
        arena::remove_stale();
    }
    return true;
}

bool Child::wait(platform::Deadline deadline) {
    // Kept open while this thread waits: closed by another one meanwhile, its number could come to
    // mean a stranger.
    std::shared_ptr<const platform::Descriptor> kept_open;
    {
        const std::scoped_lock hold(mutex);
        if (reap_locked())
            return true;
        kept_open = pidfd;
    }
    const int end_signal = kept_open ? kept_open->get() : -1;
    if (deadline.is_poll())
        return false;
    if (end_signal >= 0 && deadline.is_never()) {
        // One call instead of poll and wait. WNOWAIT leaves the child to reap_locked(), and the
        // descriptor, unlike a pid, cannot come to mean another process.
        siginfo_t info{};
        while (::waitid(P_PIDFD, static_cast<id_t>(end_signal), &info, WEXITED | WNOWAIT) != 0 &&
               errno == EINTR) {
        }
        const std::scoped_lock hold(mutex);
        if (reap_locked())
            return true;
    }
    if (end_signal >= 0) {
        while (platform::wait_readable(end_signal, deadline.ns())) {
            const std::scoped_lock hold(mutex);
            if (reap_locked())
                return true;
        }
        return false;
    }
    // No pidfd_open (before Linux 5.3, or no descriptor left): look again and again.
    for (long pause_ns = 50'000; !deadline.passed();
         pause_ns = std::min(pause_ns * 2, 10'000'000L)) {
        const timespec pause{0, pause_ns};
        ::nanosleep(&pause, nullptr);
        const std::scoped_lock hold(mutex);
        if (reap_locked())
            return true;
    }
    return false;
}

void Child::check_open() const {
    if (closed)
        throw ProcessError(std::errc::bad_file_descriptor,
                           fmt::format("{} was closed; ask before close()", name));
}

void Child::check_parent(const char* verb) const {
    check_open();
    if (parent_pid == ::getpid()) {
        if (started)
            return;
        throw ProcessError(
            std::errc::no_such_process,
            fmt::format("{}() of {}, which was not started; call start() first", verb, name));
    }
    if (pid == ::getpid())
        throw ProcessError(std::errc::resource_deadlock_would_occur,
                           fmt::format("{} cannot {} itself", name, verb));
    throw ProcessError(std::errc::no_child_process,
                       fmt::format("{}() of {} by a process that is not its parent (pid {})", verb,
                                   name, parent_pid));
}

void Child::signal(int number) {
    const std::scoped_lock hold(mutex);
    if (reap_locked())
        return;
    platform::send_signal(pid, descriptor(), number);
}

void remember_child(const std::shared_ptr<Child>& child) {
    const std::scoped_lock hold(children().mutex);
    auto& mine = own_children();
    std::erase_if(mine, [&](const auto& weak) {
        const bool same = !weak.owner_before(child) && !child.owner_before(weak);
        return same || weak.expired(); // the same: it could not be started the last time
    });
    mine.push_back(child);
}

void free_siblings() noexcept {
    for (const auto& weak : children().all)
        if (const auto sibling = weak.lock())
            new (&sibling->mutex) std::mutex;
}

void lock_children_for_fork() {
    if (!MULTIFORK_MUTANT(children_unheld))
        children().mutex.lock();
}
void unlock_children_after_fork() noexcept {
    if (!MULTIFORK_MUTANT(children_unheld))
        children().mutex.unlock();
}

} // namespace detail

std::vector<ProcessHandle> active_children() {
    std::vector<std::shared_ptr<detail::Child>> known;
    {
        const std::scoped_lock hold(detail::children().mutex);
        for (const auto& weak : detail::own_children())
            if (auto child = weak.lock())
                known.push_back(std::move(child));
    }
    // Without that mutex: start() takes it, around a fork, and holds a child's.
    std::erase_if(known, [](const auto& child) {
        const std::scoped_lock hold(child->mutex);
        return !child->started || child->reap_locked();
    });
    std::vector<ProcessHandle> active;
    for (auto& child : known)
        active.emplace_back(std::move(child));
    return active;
}

ProcessHandle::ProcessHandle(std::shared_ptr<detail::Child> child) noexcept
    : child_(std::move(child)) {}
ProcessHandle::ProcessHandle(const ProcessHandle&) = default;
ProcessHandle::ProcessHandle(ProcessHandle&&) noexcept = default;
ProcessHandle& ProcessHandle::operator=(const ProcessHandle&) = default;
ProcessHandle& ProcessHandle::operator=(ProcessHandle&&) noexcept = default;
ProcessHandle::~ProcessHandle() = default;

detail::Child& ProcessHandle::child() const {
    if (!child_)
        throw ProcessError(std::errc::invalid_argument,
                           "this Process was moved from; use the one it was moved to");
    return *child_;
}

std::string ProcessHandle::name() const {
    return child().name;
}
bool ProcessHandle::daemon() const {
    return child().daemon;
}
int ProcessHandle::ppid() const {
    return child().parent_pid;
}

std::optional<int> ProcessHandle::pid() const {
    const std::scoped_lock hold(child().mutex);
    if (child().pid == 0)
        return std::nullopt;
    return child().pid;
}

std::optional<int> ProcessHandle::exitcode() const {
    const std::scoped_lock hold(child().mutex);
    child().check_open();
    if (child().started && child().parent_pid == ::getpid())
        child().reap_locked();
    return child().exitcode;
}

bool ProcessHandle::is_alive() const {
    const std::scoped_lock hold(child().mutex);
    child().check_open();
    if (child().pid == ::getpid())
        return true;
    return child().started && child().parent_pid == ::getpid() && !child().reap_locked();
}

std::optional<RemoteError> ProcessHandle::error() const {
    const std::scoped_lock hold(child().mutex);
    child().check_open();
    if (!child().started)
        return std::nullopt;
    return detail::board_in(child().board).heard_error(child().name, child().pid);
}

bool ProcessHandle::join_before(platform::Deadline deadline) const {
    {
        const std::scoped_lock hold(child().mutex);
        child().check_parent("join");
    }
    return child().wait(deadline);
}

void ProcessHandle::join() const {
    static_cast<void>(join_before(platform::Deadline::never()));
}

void ProcessHandle::terminate() const {
    {
        const std::scoped_lock hold(child().mutex);
        child().check_parent("terminate");
    }
    child().signal(SIGTERM);
}
void ProcessHandle::kill() const {
    {
        const std::scoped_lock hold(child().mutex);
        child().check_parent("kill");
    }
    child().signal(SIGKILL);
}
void ProcessHandle::interrupt() const {
    {
        const std::scoped_lock hold(child().mutex);
        child().check_parent("interrupt");
    }
    child().signal(SIGINT);
}

int ProcessHandle::sentinel() const {
    const std::scoped_lock hold(child().mutex);
    child().check_parent("sentinel");
    if (!child().pidfd)
        throw ProcessError(
            std::errc::not_supported,
            "there is no descriptor for this process: none was left when it was started "
            "(RLIMIT_NOFILE), or the system has none (pidfd_open, Linux 5.3); use try_join_for()");
    return child().pidfd->get();
}

void ProcessHandle::close() const {
    const std::scoped_lock hold(child().mutex);
    if (child().closed)
        return;
    if (child().started && child().parent_pid == ::getpid() && !child().reap_locked())
        throw ProcessError(
            std::errc::device_or_resource_busy,
            fmt::format("close() of {}, which is still running; join() or terminate() it first",
                        child().name));
    child().closed = true;
    child().pidfd.reset();
    child().board = {};
}

std::string ProcessHandle::to_string() const {
    const std::scoped_lock hold(child().mutex);
    const auto& c = child();
    std::string state = "initial";
    if (c.closed)
        state = "closed";
    else if (c.started && (c.parent_pid != ::getpid() || !child().reap_locked()))
        state = "started";
    else if (c.exitcode)
        state = *c.exitcode == 0 ? "stopped" : fmt::format("stopped exitcode={}", *c.exitcode);
    const std::string pid = c.pid != 0 ? fmt::format(" pid={}", c.pid) : "";
    return fmt::format("<{} name='{}'{} parent={} {}{}>", detail::class_name(c.method), c.name, pid,
                       c.parent_pid, state, c.daemon ? " daemon" : "");
}

} // namespace multifork
