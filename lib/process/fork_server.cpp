#include "process/fork_server.hpp"

#include "channel/passed_descriptors.hpp"
#include "memory/mapping.hpp"
#include "platform/child_process.hpp"
#include "platform/fd_passing.hpp"
#include "platform/immortal.hpp"
#include "platform/launch.hpp"
#include "platform/system.hpp"
#include "process/in_child.hpp"
#include "process/lifeline.hpp"
#include "process/order.hpp"
#include "process/spawn.hpp"
#include "process/start_method.hpp"

#include <multifork/error.hpp>

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace multifork::detail {
namespace {

/// The server's newest child, for this process to read should the server die. A page of its own:
/// by then the child may have ended too, and its record in the arena be another's.
using PidWord = std::atomic<std::uint32_t>;

struct Server {
    std::mutex mutex;
    int pid = 0; // 0: there is none
    std::optional<memory::Mapping> page;
    arena::ProcessId record;
    platform::Descriptor socket;
    platform::Descriptor pidfd;
};

constinit platform::Immortal<Server> the_server;

constexpr std::size_t page_bytes = 4096;

PidWord& pid_word_in(const memory::Mapping& page) noexcept {
    return *reinterpret_cast<PidWord*>(page.data());
}

// ---- in the server
// ---------------------------------------------------------------------------------------------

[[noreturn]] void become_child(const arena::Handover& told, std::vector<platform::Descriptor>& fds,
                               const sigset_t& signals) {
    arena::after_clone_in_child(told.self);
    ::close(socket_place);
    let_go_of_forkers_parent();
    ::pthread_sigmask(SIG_SETMASK, &signals, nullptr);
    ::on_exit(end_of_child, nullptr);
    note_arrived(std::move(fds));
    std::exit(follow_order(told));
}

void load(const std::vector<std::string>& libraries) {
    for (const std::string& library : libraries)
        if (::dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr)
            // The children try it once more if they need it, and say what is wrong.
            std::fputs(
                fmt::format("multifork: the fork server cannot load a library: {}\n", ::dlerror())
                    .c_str(),
                stderr); // may fail
}

void answer(int error) noexcept {
    // MSG_NOSIGNAL: who asked may have ended meanwhile
    static_cast<void>(::send(socket_place, &error, sizeof error, MSG_NOSIGNAL));
}

/// The server's target.
void serve(const std::vector<std::string>& libraries) {
    // Ctrl-C is meant for the program, whose children have their own way with it. Not ignored: one
    // that comes to a child before it has its own way must not be lost.
    sigset_t interrupt;
    sigset_t before;
    ::sigemptyset(&interrupt);
    ::sigaddset(&interrupt, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &interrupt, &before);
    const memory::Mapping page(pid_word_place, page_bytes);
    ::close(pid_word_place);
    load(libraries);
    for (;;) {
        arena::Handover told;
        std::vector<platform::Descriptor> fds;
        const auto got = platform::receive_with_descriptors(
            socket_place, std::as_writable_bytes(std::span(&told, 1)), fds);
        if (got != sizeof told)
            return; // closed
        if (fds.size() != told.descriptors) {
            answer(EMFILE);
            continue;
        }
        flush_output();
        arena::before_clone();
        const int pid = platform::clone_for_parent(pid_word_in(page));
        const int error = pid < 0 ? errno : 0;
        if (pid == 0)
            become_child(told, fds, before);
        arena::after_clone_in_parent();
        answer(error);
    }
}

// ---- in the process that asks
// ----------------------------------------------------------------------------------

void reap(Server& server, bool wait) noexcept {
    if (server.pid == 0)
        return;
    const int pidfd = server.pidfd ? server.pidfd.get() : -1;
    while (platform::reap(server.pid, pidfd).state == platform::Fate::State::running) {
        if (!wait)
            return;
        platform::wait_for_end(server.pid, pidfd);
    }
    arena::end_child(std::exchange(server.record, {}));
    server.pid = 0;
    server.socket.reset();
    server.pidfd.reset();
}

/// \return a file of one page
platform::Descriptor make_page() {
    platform::Descriptor file = platform::memory_file("multifork-fork-server");
    if (!file || ::ftruncate(file.get(), page_bytes) != 0)
        platform::throw_errno("making the page that the fork server writes to");
    return file;
}

void start_server(Server& server) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        platform::throw_errno("making the socket of the fork server");
    platform::Descriptor ours(ends[0]);
    const platform::Descriptor theirs(ends[1]);
    const platform::Descriptor file = make_page();
    server.page.emplace(file.get(), page_bytes);

    Order order;
    order.name = "ForkServer";
    order.daemon = true;
    order.parent_pid = ::getpid();
    order.method = StartMethod::forkserver;
    const Call<void (*)(const std::vector<std::string>&), std::vector<std::string>> target(
        std::in_place, serve, forkserver_preload());
    const std::array more{theirs.get(), file.get()}; // socket_place, pid_word_place
    const Spawned spawned = spawn(std::move(order), {}, target, more);
    server.pid = spawned.pid;
    server.record = spawned.record;
    server.pidfd = platform::open_pidfd(spawned.pid);
    server.socket = std::move(ours);
}

enum class Answer : std::uint8_t { done, refused, died };

/// \param error  why, when it was refused
Answer ask(Server& server, const WrittenOrder& order, int& error) {
    std::vector<int> fds;
    for (const platform::Descriptor& passed : order.passed)
        fds.push_back(passed.get());
    error = platform::send_with_descriptors(server.socket.get(),
                                            std::as_bytes(std::span(&order.told, 1)), fds);
    if (error == EPIPE || error == ECONNRESET)
        return Answer::died;
    if (error != 0)
        return Answer::refused;
    for (;;) {
        // A child of the server that has not closed the socket yet would hide its end.
        std::array<pollfd, 2> ready{pollfd{server.socket.get(), POLLIN, 0},
                                    pollfd{server.pidfd.get(), POLLIN, 0}};
        if (::poll(ready.data(), server.pidfd ? 2 : 1, -1) < 0 && errno == EINTR)
            continue;
        const ssize_t got = ::recv(server.socket.get(), &error, sizeof error, MSG_DONTWAIT);
        if (got == sizeof error)
            return error == 0 ? Answer::done : Answer::refused;
        if (got < 0 && (errno == EINTR || errno == EAGAIN) && (ready[1].revents & POLLIN) == 0)
            continue;
        return Answer::died;
    }
}

void end(Server& server) noexcept {
    server.socket.reset();
    if (server.pid != 0)
        platform::send_signal(server.pid, server.pidfd ? server.pidfd.get() : -1, SIGKILL);
    reap(server, true);
}

} // namespace

int fork_by_server(const WrittenOrder& order) {
    if (order.passed.size() > platform::most_descriptors)
        throw NotShareable(fmt::format(
            "{} connections through sockets for one child of the fork server, which can have {}; "
            "use start method spawn, or send their descriptors with send_fd()",
            order.passed.size(), platform::most_descriptors));
    Server& server = *the_server;
    const std::scoped_lock hold(server.mutex);
    for (int attempt = 0; attempt < 5; ++attempt) {
        reap(server, false);
        if (server.pid == 0)
            start_server(server);
        PidWord& pid = pid_word_in(*server.page);
        pid.store(0);
        int error = 0;
        const Answer answer = ask(server, order, error);
        if (answer == Answer::refused)
            throw ProcessError(
                static_cast<std::errc>(error),
                fmt::format(
                    "the fork server could not fork: {}; too many processes or open files, or "
                    "no memory",
                    std::generic_category().message(error)));
        if (answer == Answer::died)
            end(server); // from here on its last word is in the page
        if (pid.load() != 0)
            return static_cast<int>(pid.load());
    }
    throw ProcessError(std::errc::resource_unavailable_try_again,
                       "the fork server has died five times in a row before it made a child; look "
                       "for what kills it, or use start method spawn");
}

bool fork_server_runs() {
    return fork_server_pid() != 0;
}

int fork_server_pid() {
    const std::scoped_lock hold(the_server->mutex);
    reap(*the_server, false);
    return the_server->pid;
}

void stop_fork_server() noexcept {
    const std::scoped_lock hold(the_server->mutex);
    the_server->socket.reset(); // it ends by itself
    reap(*the_server, true);
}

void lock_fork_server_for_fork() {
    the_server->mutex.lock();
}
void unlock_fork_server_after_fork() noexcept {
    the_server->mutex.unlock();
}
void forget_fork_server_in_child() noexcept {
    the_server->pid = 0;
    the_server->record = {};
    the_server->page.reset();
    the_server->socket.reset();
    the_server->pidfd.reset();
    the_server->mutex.unlock();
}

} // namespace multifork::detail
