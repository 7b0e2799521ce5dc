#include "toolkit/proc.hpp"

#include <fmt/format.h>

#include <fstream>
#include <stdexcept>
#include <string>

namespace demo {
namespace {

/// A line such as "VmRSS:     12345 kB".
std::int64_t status_bytes(const std::string& key) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with(key))
            return std::stoll(line.substr(key.size())) * 1024;
    throw std::runtime_error("there is no " + key + " in /proc/self/status");
}

} // namespace

char process_state(int pid) {
    std::ifstream file(fmt::format("/proc/{}/stat", pid));
    std::string line;
    if (!std::getline(file, line))
        return 0;
    // The name before it may have blanks and parentheses in it.
    const auto behind_name = line.rfind(") ");
    return behind_name == std::string::npos ? '\0' : line.at(behind_name + 2);
}

std::int64_t resident_bytes() {
    return status_bytes("VmRSS:");
}
std::int64_t peak_resident_bytes() {
    return status_bytes("VmHWM:");
}

} // namespace demo
