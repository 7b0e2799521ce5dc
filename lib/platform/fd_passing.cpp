#include "platform/fd_passing.hpp"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace multifork::platform {

int send_descriptor(int socket, int fd) noexcept {
    char byte = '!';
    iovec part{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
    for (;;) {
        if (::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
            return 0;
        if (errno != EINTR)
            return errno == EWOULDBLOCK ? EAGAIN : errno;
    }
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
    for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr;
         head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        for (std::size_t at = 0; at + sizeof(int) <= head->cmsg_len - CMSG_LEN(0);
             at += sizeof(int)) {
            int number = -1;
            std::memcpy(&number, CMSG_DATA(head) + at, sizeof number);
            Descriptor one(number);
            if (!first)
                first = std::move(one);
        }
    }
    if (got == 0)
        return FdArrival::end;
    if (!first)
        return FdArrival::no_descriptor;
    fd = std::move(first);
    return FdArrival::done;
}

} // namespace multifork::platform
