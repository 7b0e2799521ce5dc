#include "channel/held_socket.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <mutex>
#include <utility>

namespace multifork::detail {
namespace {

// Held over forks: a child finds each socket that its parent has closed either in this list or
// without a descriptor.
constinit std::mutex leaving; // of what follows
constinit HeldSocket::Own* all_left = nullptr;

void add_to_left(HeldSocket::Own& own) noexcept {
    own.next = all_left;
    own.place = &all_left;
    if (all_left != nullptr)
        all_left->place = &own.next;
    all_left = &own;
}
void take_from_left(HeldSocket::Own& own) noexcept {
    if (own.place == nullptr)
        return;
    *own.place = own.next;
    if (own.next != nullptr)
        own.next->place = own.place;
    own.place = nullptr;
}
void close_descriptors(HeldSocket::Own& own) noexcept {
    own.socket.reset();
    own.wake.reset();
}

extern "C" void hold_left_sockets_for_fork() {
    leaving.lock();
}
extern "C" void let_left_sockets_go() {
    leaving.unlock();
}
extern "C" void close_left_sockets_in_child() {
    while (all_left != nullptr) {
        HeldSocket::Own& own = *all_left;
        close_descriptors(own);
        take_from_left(own);
    }
    leaving.unlock();
}

// As the handlers of this floor's lookouts.
[[gnu::constructor(202)]] void watch_forks() {
    ::pthread_atfork(hold_left_sockets_for_fork, let_left_sockets_go, close_left_sockets_in_child);
}

} // namespace

HeldSocket::Own::~Own() {
    const std::scoped_lock hold(leaving);
    close_descriptors(*this);
    take_from_left(*this);
}

platform::Descriptor HeldSocket::make_wake() noexcept {
    return platform::Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

void HeldSocket::open(platform::Descriptor socket, platform::Descriptor wake) {
    own_ = std::make_shared<Own>();
    own_->socket = std::move(socket);
    own_->wake = std::move(wake);
    pid_ = platform::process_id();
    closed_ = false;
}

std::shared_ptr<HeldSocket::Own> HeldSocket::use() {
    const std::scoped_lock hold(lock_);
    if (closed_ || !own_)
        return nullptr;
    if (const std::uint32_t me = platform::process_id(); pid_ != me) {
        auto mine = std::make_shared<Own>();
        // The parent's would wake the parent.
        if (!(mine->wake = make_wake()))
            platform::throw_errno("using a connection that a forked process inherits");
        mine->socket = std::move(own_->socket);
        own_->wake.reset();
        own_ = std::move(mine);
        pid_ = me;
    }
    return own_;
}

void HeldSocket::close() noexcept {
    const std::scoped_lock hold(lock_);
    {
        const std::scoped_lock together(leaving);
        closed_ = true;
        if (!own_)
            return;
        if (pid_ != platform::process_id())
            close_descriptors(*own_);
        else if (own_->place == nullptr)
            add_to_left(*own_);
    }
    const std::uint64_t one = 1;
    if (own_->wake) // the parent's would wake the parent
        static_cast<void>(!::write(own_->wake.get(), &one, sizeof one));
    own_.reset();
}

bool HeldSocket::await(const Own& own, short what, platform::Deadline deadline) noexcept {
    std::array<pollfd, 2> entries{{{own.socket.get(), what, 0}, {own.wake.get(), POLLIN, 0}}};
    return platform::poll_until(entries, deadline.ns()) != 0;
}

} // namespace multifork::detail
