#include "channel/held_socket.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

namespace multifork::detail {

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
        if (own_->wake && !(mine->wake = make_wake()))
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
    closed_ = true;
    if (!own_)
        return;
    if (pid_ == platform::process_id()) {
        const std::uint64_t one = 1;
        if (own_->wake)
            static_cast<void>(!::write(own_->wake.get(), &one, sizeof one));
    } else {
        own_->socket.reset();
        own_->wake.reset();
    }
    own_.reset();
}

} // namespace multifork::detail
