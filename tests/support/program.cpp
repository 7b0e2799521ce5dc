#include "support/program.hpp"

#include "support/children.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace multifork::test {
namespace {

constexpr const char* variable = "MULTIFORK_TEST_PROGRAM";

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

struct Pipe {
    Pipe() {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0)
            fail("pipe2");
        read_end = ends[0];
        write_end = ends[1];
    }
    ~Pipe() {
        ::close(read_end);
        close_write_end();
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    void close_write_end() {
        if (write_end >= 0)
            ::close(write_end);
        write_end = -1;
    }
    int read_end;
    int write_end;
};

pid_t execute(const std::string& name, const Environment& environment, int out, int err) {
    const pid_t pid = ::fork();
    if (pid != 0)
        return pid;
    if (out >= 0)
        ::dup2(out, STDOUT_FILENO);
    if (err >= 0)
        ::dup2(err, STDERR_FILENO);
    ::setenv(variable, name.c_str(), 1);
    for (const auto& [key, value] : environment)
        ::setenv(key.c_str(), value.c_str(), 1);
    ::execl("/proc/self/exe", name.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
}

/// Reads both pipes until nobody holds their write ends any more.
void read_all(const Pipe& first, std::string& first_text, const Pipe& second,
              std::string& second_text) {
    std::array<pollfd, 2> ends{pollfd{first.read_end, POLLIN, 0},
                               pollfd{second.read_end, POLLIN, 0}};
    const std::array<std::string*, 2> texts{&first_text, &second_text};
    while (ends[0].fd >= 0 || ends[1].fd >= 0) {
        if (::poll(ends.data(), ends.size(), -1) < 0 && errno != EINTR)
            fail("poll");
        for (std::size_t i = 0; i < ends.size(); ++i) {
            if (ends[i].fd < 0 || ends[i].revents == 0)
                continue;
            std::array<char, 4096> buffer;
            const ssize_t n = ::read(ends[i].fd, buffer.data(), buffer.size());
            if (n > 0)
                texts[i]->append(buffer.data(), static_cast<std::size_t>(n));
            else if (n == 0 || errno != EINTR)
                ends[i].fd = -1;
        }
    }
}

} // namespace

Program::Program(const char* name, int (*main)()) {
    const char* const wanted = std::getenv(variable);
    if (wanted == nullptr || std::strcmp(wanted, name) != 0)
        return;
    ::unsetenv(variable);
    std::exit(main());
}

ProgramResult run_program(const std::string& name, const Environment& environment) {
    Pipe out;
    Pipe err;
    const pid_t pid = execute(name, environment, out.write_end, err.write_end);
    out.close_write_end();
    err.close_write_end();
    ProgramResult result;
    read_all(out, result.out, err, result.err);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    result.code = exit_code_of(status);
    return result;
}

pid_t start_program(const std::string& name, const Environment& environment) {
    return execute(name, environment, -1, -1);
}

} // namespace multifork::test
