#include <multifork/process/cpu_count.hpp>

#include "platform/file_text.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace multifork {
namespace {

int affinity_count() {
    // The kernel's mask may be larger than cpu_set_t: grow until it fits.
    for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
        cpu_set_t* const set = CPU_ALLOC(static_cast<std::size_t>(cpus));
        if (set == nullptr)
            break;
        const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(cpus));
        const bool ok = ::sched_getaffinity(0, bytes, set) == 0;
        const int count = ok ? CPU_COUNT_S(bytes, set) : 0;
        const int error = errno;
        CPU_FREE(set);
        if (ok)
            return std::max(count, 1);
        if (error != EINVAL)
            break;
    }
    return std::max(static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)), 1);
}

/// Reads a number at the front of `text` and moves behind it. \return -1 when there is none ("max")
double take_number(std::string_view& text) {
    while (!text.empty() && text.front() == ' ')
        text.remove_prefix(1);
    double number = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc())
        return -1;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return number;
}

constexpr double no_limit = std::numeric_limits<double>::infinity();

/// The quota of one cgroup: v2 has "cpu.max" with quota and period, v1 a file for each.
double quota_of(const std::string& folder) {
    const platform::FileText v2(folder + "/cpu.max");
    std::string_view text = v2.text();
    double quota = take_number(text);
    double period = take_number(text);
    if (v2.text().empty()) {
        const platform::FileText v1_quota(folder + "/cpu.cfs_quota_us");
        const platform::FileText v1_period(folder + "/cpu.cfs_period_us");
        std::string_view first = v1_quota.text();
        std::string_view second = v1_period.text();
        quota = take_number(first);
        period = take_number(second);
    }
    return quota > 0 && period > 0 ? quota / period : no_limit;
}

/// Is "cpu" one of these names, which are divided by commas? ("cpuset" and "cpuacct" are others)
bool names_cpu(std::string_view controllers) {
    while (!controllers.empty()) {
        const std::string_view name = controllers.substr(0, controllers.find(','));
        if (name == "cpu")
            return true;
        controllers.remove_prefix(std::min(name.size() + 1, controllers.size()));
    }
    return false;
}

/// The smallest quota on the way from the process's cgroup to the root.
double cgroup_quota() {
    const platform::FileText membership("/proc/self/cgroup");
    std::string_view lines = membership.text();
    double least = no_limit;
    while (!lines.empty()) {
        const std::string_view line = lines.substr(0, lines.find('\n'));
        lines.remove_prefix(std::min(line.size() + 1, lines.size()));
        // "0::/path" (v2) or "4:cpu,cpuacct:/path" (v1)
        const auto first = line.find(':');
        const auto second = line.find(':', first + 1);
        if (first == std::string_view::npos || second == std::string_view::npos)
            continue;
        const std::string_view controllers = line.substr(first + 1, second - first - 1);
        const bool v2 = controllers.empty();
        if (!v2 && !names_cpu(controllers))
            continue;
        const std::string root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
        std::string path(line.substr(second + 1));
        for (;;) {
            least = std::min(least, quota_of(root + (path == "/" ? "" : path)));
            if (path.empty() || path == "/")
                break;
            const auto slash = path.rfind('/');
            path.resize(slash == 0 || slash == std::string::npos ? 0 : slash);
        }
    }
    return least;
}

} // namespace

int cpu_count() {
    const int cpus = affinity_count();
    const double quota = cgroup_quota();
    if (quota >= cpus)
        return cpus;
    return std::max(static_cast<int>(std::ceil(quota)), 1);
}

} // namespace multifork
