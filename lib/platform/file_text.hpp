#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string_view>

namespace multifork::platform {

/// The first 4 KiB of a small file of /proc or /sys, read without allocating; empty if there is
/// none.
class FileText {
public:
    template <class... Args>
    explicit FileText(const char* path_format, Args... args) noexcept {
        std::array<char, 512> path;
        std::snprintf(path.data(), path.size(), path_format, args...);
        read(path.data());
    }

    [[nodiscard]] std::string_view text() const noexcept { return {buffer_.data(), size_}; }

    [[nodiscard]] std::string_view after_last(char mark) const noexcept {
        const auto at = text().rfind(mark);
        return at == std::string_view::npos ? std::string_view{} : text().substr(at + 1);
    }

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
