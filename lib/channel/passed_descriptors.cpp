#include "channel/passed_descriptors.hpp"

#include "platform/immortal.hpp"

#include <multifork/error.hpp>

#include <fcntl.h>

#include <utility>

namespace multifork::detail {
namespace {

thread_local PassedDescriptors* passed = nullptr;

// Here and not on the stack of who decodes: a target that calls exit() or pthread_exit() leaves no
// destructors of ours behind.
constinit platform::Immortal<std::vector<platform::Descriptor>> arrived;

} // namespace

PassedDescriptors::PassedDescriptors() noexcept : outer_(std::exchange(passed, this)) {}
PassedDescriptors::~PassedDescriptors() {
    passed = outer_;
}

std::uint32_t PassedDescriptors::add(int fd) {
    if (passed == nullptr)
        throw Error(std::errc::operation_not_supported,
                    "a connection that has a descriptor (a socket, or a pipe with {.descriptors = "
                    "true}) cannot be sent as a message; give it to a Process as an argument, or "
                    "send the descriptor of a socket with send_fd()");
    platform::Descriptor copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!copy)
        platform::throw_errno("giving the descriptor of a connection to another process");
    passed->fds_.push_back(std::move(copy));
    return static_cast<std::uint32_t>(passed->fds_.size() - 1);
}

void note_arrived(std::vector<platform::Descriptor> fds) {
    *arrived = std::move(fds);
}

platform::Descriptor take_arrived(std::uint32_t place) {
    if (place >= arrived->size() || !(*arrived)[place])
        throw CorruptSharedMemory("a message should bring a connection whose descriptor has not "
                                  "come; both sides must send and receive the same type");
    return std::exchange((*arrived)[place], {});
}

void drop_arrived() noexcept {
    arrived->clear();
}

} // namespace multifork::detail
