#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace multifork::platform {

/// The first 4 KiB of a small file of /proc or /sys; empty if there is
/// none.
class FileText {
public:
    explicit FileText(const std::string& path) noexcept { read(path.c_str()); }

    [[nodiscard]] std::string_view text() const noexcept { return {buffer_.data(), size_}; }

private:
    void read(const char* path) noexcept {
        const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return;
        const ssize_t n = ::read(fd, buffer_.data(), buffer_.size());
        ::close(fd);
        if (n > 0)
            size_ = static_cast<std::size_t>(n);
    }

    std::array<char, 4096> buffer_;
    std::size_t size_ = 0;
};

} // namespace multifork::platform
