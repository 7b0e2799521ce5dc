#include "platform/child_process.hpp"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace multifork::platform {
namespace {

/// waitid(), by the pidfd if there is one and the system can (Linux 5.3 has some, but cannot wait
/// for them). \return 0 or an errno
int wait_id(int pid, int pidfd, int options, siginfo_t& info) noexcept {
    const auto ask = [&](idtype_t what, int id) {
        for (;;) {
            info = {};
            if (::waitid(what, static_cast<id_t>(id), &info, WEXITED | options) == 0)
                return 0;
            if (errno != EINTR)
                return errno;
        }
    };
    const int error = pidfd >= 0 ? ask(P_PIDFD, pidfd) : EINVAL;
    return error == EINVAL ? ask(P_PID, pid) : error;
}

} // namespace

Fate reap(int pid, int pidfd) noexcept {
    siginfo_t info{};
    if (wait_id(pid, pidfd, WNOHANG, info) != 0)
        return {Fate::State::unknown};
    if (info.si_pid == 0)
        return {Fate::State::running};
    return {Fate::State::ended, info.si_code == CLD_EXITED ? info.si_status : -info.si_status};
}

void wait_for_end(int pid, int pidfd) noexcept {
    siginfo_t info{};
    static_cast<void>(wait_id(pid, pidfd, WNOWAIT, info));
}

void send_signal(int pid, int pidfd, int number) noexcept {
    if (pidfd >= 0 &&
        (::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0) == 0 || errno != ENOSYS))
        return;
    ::kill(pid, number);
}

} // namespace multifork::platform
