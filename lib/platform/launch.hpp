#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

// Two ways to a new process that are not fork().

namespace multifork::platform {

/// Starts a program, which has only the standard streams and the given descriptors.
/// \param environment  "NAME=value" to add to this process's own
/// \param descriptors  which of ours are to be which of its own, from 3 on
/// \return the errno, and the pid if that is 0
struct Launched {
    int error = 0;
    int pid = 0;
};
[[nodiscard]] Launched launch(const std::string& program, const std::vector<std::string>& arguments,
                              const std::string& environment, std::span<const int> descriptors);

/// As fork(), for a process of one thread; but the child is not the caller's: its parent is the
/// caller's parent, who can wait for it. Handlers of pthread_atfork() do not run.
/// \param pid_word  in shared memory: gets the child's pid before the child runs and before this
///                  returns, so that a death of the caller hides no child
/// \return as fork(); -1 with errno ENOTSUP when the C library is not the one that this file knows
[[nodiscard]] int clone_for_parent(std::atomic<std::uint32_t>& pid_word) noexcept;

} // namespace multifork::platform
