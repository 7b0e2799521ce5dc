#include "support/children.hpp"

#include "support/watchdog.hpp"

#include <boost/test/unit_test.hpp>
#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace multifork::test {

void demand(bool holds, std::source_location where) {
    if (!holds)
        throw std::logic_error(fmt::format("demand at {}:{}", where.file_name(), where.line()));
}

void expect_exit(ProcessHandle& child, int code) {
    child.join();
    const auto error = child.error();
    BOOST_TEST(child.exitcode().value() == code,
               child.name() << " ended with " << child.exitcode().value() << ", not " << code
                            << (error ? ": " + error->text() : ""));
}

void sleep_for_ever() {
    for (;;)
        ::pause();
}

void run_in_child(std::function<void()> body) {
    Process child{std::move(body)};
    child.start();
    expect_exit(child);
}

namespace {

[[noreturn]] void be_the_child(const std::function<int()>& body) {
    int code = 101;
    try {
        code = body();
    } catch (const std::exception& error) {
        fmt::print(stderr, "in a raw child: {}\n", error.what());
    } catch (...) {
        fmt::print(stderr, "in a raw child: an exception of unknown type\n");
    }
    ::_exit(code);
}

} // namespace

RawChild::RawChild(const std::function<int()>& body, Made made)
    : pid_(made == Made::by_fork
               ? ::fork()
               : static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0L))) {
    if (pid_ == 0)
        be_the_child(body);
    BOOST_TEST_REQUIRE(pid_ > 0);
}

RawChild::~RawChild() {
    if (code_)
        return;
    kill();
    static_cast<void>(wait());
}

void RawChild::kill() const noexcept {
    ::kill(pid_, SIGKILL);
}

int RawChild::wait() {
    if (!code_) {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        code_ = exit_code_of(status);
    }
    return *code_;
}

int exit_code_of(int status) {
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

char state_of(pid_t pid) {
    std::ifstream file(fmt::format("/proc/{}/stat", pid));
    std::string text;
    std::getline(file, text, '\0'); // unlike an iterator, throws nothing when the process is gone
    const std::size_t close = text.rfind(')');
    return close != std::string::npos && close + 2 < text.size() ? text[close + 2] : 'X';
}

bool runs(pid_t pid) {
    const char state = state_of(pid);
    return state != 'X' && state != 'Z';
}

void wait_until_asleep(pid_t pid) {
    // Asleep at several looks in a row: not just between two system calls.
    for (int asleep = 0; asleep < 5;) {
        asleep = state_of(pid) == 'S' ? asleep + 1 : 0;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

std::size_t open_descriptors() {
    using Iterator = std::filesystem::directory_iterator;
    return static_cast<std::size_t>(std::distance(Iterator("/proc/self/fd"), Iterator()));
}

int scaled(int count) {
    return std::max(1, count / static_cast<int>(built_in_slowdown));
}

} // namespace multifork::test
