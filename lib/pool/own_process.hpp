#pragma once

namespace multifork::detail {

/// Knows whether the calling process is the one that made it: by a page that the kernel wipes in a
/// forked child. It costs a load, where getpid() is a system call.
class OwnProcess {
public:
    /// \throws Error
    OwnProcess();
    ~OwnProcess();
    OwnProcess(const OwnProcess&) = delete;
    OwnProcess& operator=(const OwnProcess&) = delete;

    [[nodiscard]] bool is_here() const noexcept { return *made_here_ != 0; }
    [[nodiscard]] int pid() const noexcept { return pid_; }

private:
    volatile int* made_here_;
    int pid_;
};

} // namespace multifork::detail
