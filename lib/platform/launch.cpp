#include "platform/launch.hpp"

#include "platform/system.hpp"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string_view>

extern char** environ; // NOLINT: POSIX gives it no header

namespace multifork::platform {
namespace {

constexpr int first_descriptor = 3;

/// The own environment with one variable more.
std::vector<char*> environment_with(std::string& variable) {
    const std::string_view name =
        std::string_view(variable).substr(0, variable.find('=') + 1); // with the '='
    std::vector<char*> all;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry)
        if (!std::string_view(*entry).starts_with(name))
            all.push_back(*entry);
    all.push_back(variable.data());
    all.push_back(nullptr);
    return all;
}

class FileActions {
public:
    FileActions() noexcept { ::posix_spawn_file_actions_init(&actions_); }
    ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
    FileActions(const FileActions&) = delete;
    FileActions& operator=(const FileActions&) = delete;
    [[nodiscard]] posix_spawn_file_actions_t* get() noexcept { return &actions_; }

private:
    posix_spawn_file_actions_t actions_{};
};

} // namespace

Launched launch(const std::string& program, const std::vector<std::string>& arguments,
                const std::string& environment, std::span<const int> descriptors) {
    std::vector<char*> argv;
    for (const std::string& argument : arguments)
        argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    std::string variable = environment;
    std::vector<char*> envp = environment_with(variable);

    // First out of each other's way, then to their places.
    const int beyond = first_descriptor + static_cast<int>(descriptors.size());
    std::vector<Descriptor> copies;
    FileActions actions;
    for (std::size_t i = 0; i < descriptors.size(); ++i) {
        copies.emplace_back(::fcntl(descriptors[i], F_DUPFD_CLOEXEC, beyond));
        if (!copies.back())
            return {errno, 0};
        ::posix_spawn_file_actions_adddup2(actions.get(), copies.back().get(),
                                           first_descriptor + static_cast<int>(i));
    }
    ::posix_spawn_file_actions_addclosefrom_np(actions.get(), beyond);

    pid_t pid = 0;
    const int error =
        ::posix_spawn(&pid, program.c_str(), actions.get(), nullptr, argv.data(), envp.data());
    return {error, static_cast<int>(pid)};
}

int clone_for_parent(std::atomic<std::uint32_t>& pid_word) noexcept {
    // The C library keeps the thread's id in its own memory, and told the kernel where (as the word
    // to clear at the thread's end). A child needs its own id there, or raise() and mutexes that
    // know their owner would go wrong.
    int* own_id = nullptr;
    if (::prctl(PR_GET_TID_ADDRESS, &own_id, 0, 0, 0) != 0 || own_id == nullptr ||
        *own_id != static_cast<int>(thread_id())) {
        errno = ENOTSUP;
        return -1;
    }
    static_assert(sizeof pid_word == sizeof(pid_t));
    constexpr unsigned long flags =
        CLONE_PARENT | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD;
#if defined(__x86_64__)
    return static_cast<int>(::syscall(SYS_clone, flags, nullptr, &pid_word, own_id, 0ul));
#else
    return static_cast<int>(::syscall(SYS_clone, flags, nullptr, &pid_word, 0ul, own_id));
#endif
}

} // namespace multifork::platform
