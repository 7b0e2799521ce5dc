#pragma once

namespace multifork::platform {

/// Marks the calling thread as one of the library's own, from here to its end: a fork beside it,
/// or by it, needs no warning (fork_with_threads). Such a thread holds no lock that a child of its
/// process could want.
class OwnThread {
public:
    OwnThread() noexcept;
    ~OwnThread();
    OwnThread(const OwnThread&) = delete;
    OwnThread& operator=(const OwnThread&) = delete;
};

[[nodiscard]] bool is_own_thread(int tid) noexcept;

} // namespace multifork::platform
