#include "toolkit/shell.hpp"

#include <multifork/process/process.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <system_error>

namespace demo {
namespace mp = multifork;
namespace {

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

std::string read_all(int pipe, const std::function<void()>& watch) {
    std::string text;
    std::array<char, 4096> piece;
    while (true) {
        pollfd ready{pipe, POLLIN, 0};
        if (::poll(&ready, 1, 100) == 0) {
            watch();
            continue;
        }
        const ssize_t got = ::read(pipe, piece.data(), piece.size());
        if (got == 0)
            return text;
        if (got > 0)
            text.append(piece.data(), static_cast<std::size_t>(got));
        else if (errno != EINTR)
            fail("reading from a shell");
    }
}

} // namespace

std::string run_shell(const std::string& script, const std::string& input,
                      const std::function<void()>& watch) {
    // A file, since a pipe would need somebody to fill it meanwhile.
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), &std::fclose);
    if (!file || std::fwrite(input.data(), 1, input.size(), file.get()) != input.size() ||
        std::fflush(file.get()) != 0 || ::lseek(::fileno(file.get()), 0, SEEK_SET) != 0)
        fail("writing a list of files");
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        fail("making a pipe");

    mp::Process shell({.name = "sh", .daemon = true}, [&] {
        if (::dup2(::fileno(file.get()), STDIN_FILENO) < 0 || ::dup2(ends[1], STDOUT_FILENO) < 0 ||
            ::setenv("LC_ALL", "C", 1) != 0)
            fail("preparing a shell");
        ::execl("/bin/sh", "sh", "-c", script.c_str(), nullptr);
        fail("starting /bin/sh");
    });
    shell.start();
    ::close(ends[1]);
    std::string text = read_all(ends[0], watch);
    ::close(ends[0]);
    shell.join();
    if (shell.exitcode() != 0)
        throw std::runtime_error(
            fmt::format("exit code {} of: {}", shell.exitcode().value_or(-1), script));
    return text;
}

} // namespace demo
