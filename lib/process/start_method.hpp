#pragma once

#include <multifork/process/start_method.hpp>

#include <string>
#include <vector>

namespace multifork::detail {

/// What get_start_method() says, without choosing it for good.
[[nodiscard]] StartMethod default_start_method() noexcept;
/// In a child: what its own children start by, unless somebody says otherwise.
void inherit_start_method(StartMethod method) noexcept;

/// What spawned children run. \throws ProcessError when nobody can say where this program is
[[nodiscard]] std::string executable();
[[nodiscard]] std::vector<std::string> forkserver_preload();

/// Warns or refuses as set_fork_policy() says, when this process has more than one thread.
/// \throws ProcessError
void heed_fork_policy();

void lock_start_method_for_fork();
void unlock_start_method_after_fork() noexcept;

} // namespace multifork::detail
