#include "toolkit/keys.hpp"

#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace demo {
namespace {

termios before;
std::atomic<bool> changed{false};

} // namespace

bool Keys::are_there() noexcept {
    return ::isatty(STDIN_FILENO) == 1;
}

void Keys::restore() noexcept {
    if (changed.exchange(false))
        ::tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

int Keys::read() {
    if (::tcgetattr(STDIN_FILENO, &before) == 0) {
        termios raw = before;
        raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO); // Ctrl-C still is one
        raw.c_cc[VMIN] = 1;
        raw.c_cc[VTIME] = 0;
        changed = true;
        ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    unsigned char key = 0;
    ssize_t got = 0;
    do {
        got = ::read(STDIN_FILENO, &key, 1);
    } while (got < 0 && errno == EINTR);
    restore();
    return got == 1 ? key : -1;
}

} // namespace demo
