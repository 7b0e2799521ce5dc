#include <multifork/asio/watched.hpp>

#include <multifork/error.hpp>

#include "channel/link.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace multifork::detail {

DescriptorSet::DescriptorSet() : descriptor_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (descriptor_ < 0)
        throw Error(std::error_code(errno, std::generic_category()),
                    "no descriptor left to wait with: close some, or raise ulimit -n");
}

DescriptorSet::~DescriptorSet() {
    if (descriptor_ >= 0)
        ::close(descriptor_);
}

void DescriptorSet::add(int descriptor) {
    epoll_event readable{};
    readable.events = EPOLLIN;
    if (::epoll_ctl(descriptor_, EPOLL_CTL_ADD, descriptor, &readable) != 0)
        throw Error(std::error_code(errno, std::generic_category()),
                    "cannot wait for a descriptor: it must be open, of a kind that epoll takes, "
                    "and fs.epoll.max_user_watches not used up");
}

void Watched::begin(const Waitable& what, DescriptorSet& into) {
    readiness_.emplace(what);
    into.add(readiness_->fd());
}

void Watched::begin(const AnyConnection& connection, DescriptorSet& into) {
    Link::Held held = connection.link().hold();
    if (held.keep == nullptr)
        return begin(Waitable(connection), into);
    into.add(held.socket);
    into.add(held.closed);
    keep_ = std::move(held.keep);
}

void Watched::rearm() {
    if (readiness_)
        readiness_->rearm();
}

} // namespace multifork::detail
