#pragma once

#include <multifork/platform/export.hpp>

namespace multifork {

/// How many processors this process may use: at least 1.
///
/// Counts the cpus of the affinity mask (as Python's process_cpu_count), and no more than the cpu
/// quota of the process's cgroups, rounded up, so that a container with half a cpu gets 1.
[[nodiscard]] MULTIFORK_API int cpu_count();

} // namespace multifork
