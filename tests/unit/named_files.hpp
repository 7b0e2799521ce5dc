#pragma once

#include "arena/layout.hpp"

#include <fmt/core.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/// \file
/// The files behind named objects, as a test looks at them and spoils them past the library.

namespace multifork::test {

[[nodiscard]] inline std::string file_of(const std::string& name) {
    const char* chosen = std::getenv("MULTIFORK_SHM_DIR");
    return fmt::format("{}/multifork.{}", chosen != nullptr ? chosen : "/dev/shm", name);
}
[[nodiscard]] inline bool has_file(const std::string& name) {
    return std::filesystem::exists(std::filesystem::symlink_status(file_of(name)));
}

/// A directory for the named objects of one test case. What a killed program leaves in /dev/shm
/// goes at any moment, with the next child that some other program finds killed; what it leaves
/// here stays until the case itself looks.
class OwnDirectory {
public:
    OwnDirectory() : path_(fmt::format("/tmp/multifork-test-{}", ::getpid())) {
        std::filesystem::create_directory(path_);
        ::setenv("MULTIFORK_SHM_DIR", path_.c_str(), 1);
    }
    ~OwnDirectory() {
        ::unsetenv("MULTIFORK_SHM_DIR");
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    OwnDirectory(const OwnDirectory&) = delete;
    OwnDirectory& operator=(const OwnDirectory&) = delete;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

[[nodiscard]] inline std::vector<char> bytes_of(const std::string& name) {
    std::ifstream file(file_of(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// A file under an object's name that the library did not make. While this lives, it counts as one
/// that a program has open if `in_use`, else as a leftover.
class ForeignFile {
public:
    ForeignFile(std::string name, std::span<const char> bytes, bool in_use = false)
        : name_(std::move(name)),
          fd_(::open(file_of(name_).c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {
        const auto size = static_cast<ssize_t>(bytes.size());
        // Locked while it is empty: once it looks like one of ours, whichever test next looks for
        // leftovers would remove it.
        if (fd_ < 0 || (in_use && ::flock(fd_, LOCK_SH) != 0) ||
            ::write(fd_, bytes.data(), bytes.size()) != size)
            throw std::runtime_error("cannot write " + file_of(name_));
    }
    ~ForeignFile() {
        ::unlink(file_of(name_).c_str());
        ::close(fd_);
    }
    ForeignFile(const ForeignFile&) = delete;
    ForeignFile& operator=(const ForeignFile&) = delete;

private:
    std::string name_;
    int fd_;
};

/// The bytes of an existing named object, to be overwritten: mapped anew, without the library.
class Bytes {
public:
    explicit Bytes(const std::string& name) {
        const int fd = ::open(file_of(name).c_str(), O_RDWR | O_CLOEXEC);
        struct stat status {};
        if (fd < 0 || ::fstat(fd, &status) != 0)
            throw std::runtime_error("cannot open " + file_of(name));
        size_ = static_cast<std::size_t>(status.st_size);
        void* at = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        ::close(fd);
        if (at == MAP_FAILED)
            throw std::runtime_error("cannot map " + file_of(name));
        base_ = static_cast<std::byte*>(at);
    }
    ~Bytes() { ::munmap(base_, size_); }
    Bytes(const Bytes&) = delete;
    Bytes& operator=(const Bytes&) = delete;

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    template <class T>
    [[nodiscard]] T& at(std::size_t offset) const noexcept {
        return *reinterpret_cast<T*>(base_ + offset);
    }
    [[nodiscard]] arena::SegmentHeader& header() const noexcept {
        return at<arena::SegmentHeader>(0);
    }
    [[nodiscard]] arena::HeapHeader& heap() const noexcept { return at<arena::HeapHeader>(512); }
    /// What the handle works on.
    template <class T>
    [[nodiscard]] T& root() const noexcept {
        return at<T>(header().root);
    }

private:
    std::byte* base_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace multifork::test
