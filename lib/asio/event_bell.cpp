#include <multifork/asio/event_bell.hpp>

#include <multifork/error.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace multifork::detail {

EventBell::EventBell() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (descriptor_ < 0)
        throw Error(std::error_code(errno, std::generic_category()),
                    "no descriptor left to wait with: close some, or raise ulimit -n");
}

EventBell::~EventBell() {
    ::close(descriptor_);
}

void EventBell::ring() noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(descriptor_, &one, sizeof one);
}

} // namespace multifork::detail
