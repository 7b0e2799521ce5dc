#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

/// \file
/// The threads of the test's own process.

namespace multifork::test {

/// Whether the kernel is still running it. One that was joined stays in /proc for a moment.
[[nodiscard]] inline bool lives_on(const std::filesystem::path& task) {
    std::ifstream file(task / "stat");
    std::string line;
    if (!std::getline(file, line))
        return false;
    // tid (name) state parent group session terminal foreground flags ...
    std::istringstream rest(line.substr(line.rfind(')') + 1));
    std::string word;
    for (int i = 0; i < 6; ++i)
        rest >> word;
    unsigned long flags = 0;
    rest >> flags;
    constexpr unsigned long exiting = 0x4; // PF_EXITING
    return (flags & exiting) == 0;
}

/// How many there are. ThreadSanitizer starts one of its own with the first that a program starts;
/// it is there before anything is counted.
[[nodiscard]] inline std::size_t own_threads() {
    std::thread([] {}).join();
    std::size_t count = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task"))
        count += lives_on(task.path()) ? 1 : 0;
    return count;
}

} // namespace multifork::test
