#include "toolkit/sign.hpp"

#include <multifork/error.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace demo {
namespace {

void close_once(int& descriptor) noexcept {
    if (descriptor >= 0)
        ::close(std::exchange(descriptor, -1));
}

} // namespace

Sign::Sign() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        throw multifork::Error(std::error_code(errno, std::generic_category()),
                               "cannot make a pipe to hear from a child process");
    reading_ = ends[0];
    writing_ = ends[1];
}

Sign::~Sign() {
    close_once(reading_);
    close_once(writing_);
}

void Sign::give() noexcept {
    const char sign = '!';
    [[maybe_unused]] const ssize_t written = ::write(writing_, &sign, 1);
    close_once(writing_);
    close_once(reading_);
}

bool Sign::wait() noexcept {
    close_once(writing_); // else the child's end would not be the last one
    char sign = 0;
    ssize_t got = 0;
    do {
        got = ::read(reading_, &sign, 1);
    } while (got < 0 && errno == EINTR);
    close_once(reading_);
    return got == 1;
}

} // namespace demo
