#include "platform/fd_passing.hpp"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace multifork::platform {

namespace {

/// Calls f with each descriptor that came with a message, which is then f's.
template <class F>
void each_descriptor(msghdr& message, F f) {
    for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr;
         head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        for (std::size_t at = 0; at + sizeof(int) <= head->cmsg_len - CMSG_LEN(0);
             at += sizeof(int)) {
            int number = -1;
            std::memcpy(&number, CMSG_DATA(head) + at, sizeof number);
            f(Descriptor(number));
        }
    }
}

int send(int socket, std::span<const std::byte> bytes, std::span<const int> fds,
         int flags) noexcept {
    iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(most_descriptors * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* const head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(head), fds.data(), fds.size_bytes());
    }
    for (;;) {
        if (::sendmsg(socket, &message, MSG_NOSIGNAL | flags) >= 0)
            return 0;
        if (errno != EINTR)
            return errno == EWOULDBLOCK ? EAGAIN : errno;
    }
}

} // namespace

int send_descriptor(int socket, int fd) noexcept {
    constexpr std::byte byte{'!'};
    return send(socket, {&byte, 1}, {&fd, 1}, MSG_DONTWAIT);
}

FdArrival receive_descriptor(int socket, Descriptor& fd) noexcept {
    char byte = 0;
    iovec part{&byte, 1};
    // Room for two, because of the alignment; whatever is more, the kernel drops.
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t got = 0;
    do {
        got = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? FdArrival::nothing_yet
               : errno == ECONNRESET                   ? FdArrival::end
                                                       : FdArrival::failed;
    Descriptor first;
    each_descriptor(message, [&](Descriptor one) {
        if (!first)
            first = std::move(one);
    });
    if (got == 0)
        return FdArrival::end;
    if (!first)
        return FdArrival::no_descriptor;
    fd = std::move(first);
    return FdArrival::done;
}

int send_with_descriptors(int socket, std::span<const std::byte> bytes,
                          std::span<const int> fds) noexcept {
    return fds.size() > most_descriptors ? E2BIG : send(socket, bytes, fds, 0);
}

std::ptrdiff_t receive_with_descriptors(int socket, std::span<std::byte> bytes,
                                        std::vector<Descriptor>& fds) {
    fds.clear();
    fds.reserve(most_descriptors + 1); // so that none is lost for want of memory
    iovec part{bytes.data(), bytes.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(most_descriptors * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t got = 0;
    do {
        got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got >= 0)
        each_descriptor(message, [&](Descriptor one) { fds.push_back(std::move(one)); });
    return got;
}

} // namespace multifork::platform
