#include <multifork/process/cpu_count.hpp>

#include "support/children.hpp"
#include "support/skip.hpp"

#include <boost/test/unit_test.hpp>
#include <fmt/core.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

namespace mp = multifork;
namespace support = multifork::test;

namespace {

constexpr int not_allowed = 77;

/// Folders and files of a control group and what is in them, below /sys/fs/cgroup.
using Files = std::vector<std::pair<std::string, std::string>>;

void write(const std::filesystem::path& path, const std::string& text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
}

/// cpu_count() of a process that sees `membership` as its /proc/self/cgroup and `files` below
/// /sys/fs/cgroup. \return not_allowed where nothing can be mounted
int count_under(const std::string& membership, const Files& files) {
    support::RawChild child([&] {
        if (::unshare(CLONE_NEWNS) != 0 ||
            ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount("multifork-test", "/sys/fs/cgroup", "tmpfs", 0, "size=1m") != 0)
            return not_allowed;
        for (const auto& [path, text] : files)
            write("/sys/fs/cgroup/" + path, text);
        write("/sys/fs/cgroup/membership", membership);
        const std::string own = fmt::format("/proc/{}/cgroup", ::getpid());
        if (::mount("/sys/fs/cgroup/membership", own.c_str(), nullptr, MS_BIND, nullptr) != 0)
            return not_allowed;
        return mp::cpu_count();
    });
    return child.wait();
}

struct QuotaCase {
    const char* what;
    std::string membership;
    Files files;
    int count; ///< on a machine that has two cores or more for this process
};

} // namespace

BOOST_AUTO_TEST_SUITE(cpu_count)

BOOST_AUTO_TEST_CASE(it_is_at_least_one_and_at_most_what_the_machine_has) {
    BOOST_TEST(mp::cpu_count() >= 1);
    BOOST_TEST(mp::cpu_count() <= sysconf(_SC_NPROCESSORS_CONF));
}

BOOST_AUTO_TEST_CASE(it_respects_the_affinity_mask) {
    support::run_in_child([] {
        cpu_set_t mask;
        support::demand(sched_getaffinity(0, sizeof mask, &mask) == 0);
        int first = 0;
        while (!CPU_ISSET(first, &mask))
            ++first;
        CPU_ZERO(&mask);
        CPU_SET(first, &mask);
        support::demand(sched_setaffinity(0, sizeof mask, &mask) == 0);
        support::demand(mp::cpu_count() == 1);
    });
}

BOOST_AUTO_TEST_CASE(it_respects_the_quota_of_every_control_group_above) {
    if (mp::cpu_count() < 2)
        return support::skip("one core cannot be told from a quota of one");
    const QuotaCase cases[] = {
        {"one core", "0::/\n", {{"cpu.max", "100000 100000\n"}}, 1},
        {"half a core", "0::/\n", {{"cpu.max", "50000 100000\n"}}, 1},
        {"one and a half are begun cores", "0::/\n", {{"cpu.max", "150000 100000\n"}}, 2},
        {"none", "0::/\n", {{"cpu.max", "max 100000\n"}}, mp::cpu_count()},
        {"more than there are", "0::/\n", {{"cpu.max", "99900000 100000\n"}}, mp::cpu_count()},
        {"garbage", "0::/\n", {{"cpu.max", "-1 0 what\n"}}, mp::cpu_count()},
        {"of a group above", "0::/a/b\n", {{"a/cpu.max", "100000 100000\n"}}, 1},
        {"of a neighbour", "0::/a/b\n", {{"b/cpu.max", "100000 100000\n"}}, mp::cpu_count()},
        {"seen from inside a container",
         "0::/not/visible/here\n",
         {{"cpu.max", "100000 100000\n"}},
         1},
        {"version 1",
         "4:cpu,cpuacct:/job\n3:memory:/\n",
         {{"cpu/job/cpu.cfs_quota_us", "100000\n"}, {"cpu/job/cpu.cfs_period_us", "100000\n"}},
         1},
        {"version 1 without one",
         "4:cpuacct,cpu:/job\n",
         {{"cpu/job/cpu.cfs_quota_us", "-1\n"}, {"cpu/job/cpu.cfs_period_us", "100000\n"}},
         mp::cpu_count()},
        {"of a controller that only sounds like it",
         "4:cpuset:/job\n",
         {{"cpu/job/cpu.cfs_quota_us", "100000\n"}, {"cpu/job/cpu.cfs_period_us", "100000\n"}},
         mp::cpu_count()},
        {"no groups at all", "", {}, mp::cpu_count()},
    };
    for (const QuotaCase& each : cases) {
        const int count = count_under(each.membership, each.files);
        if (count == not_allowed)
            return support::skip("nothing can be mounted here");
        BOOST_TEST(count == each.count, each.what << ": " << count);
    }
}

BOOST_AUTO_TEST_SUITE_END()
