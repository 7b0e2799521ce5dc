#pragma once

#include <multifork/process/this_process.hpp>

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace multifork::detail {

/// What this process knows about itself; one a process, replaced in a child.
struct Self {
    std::mutex mutex;
    std::string name = "MainProcess";
    std::vector<std::uint32_t>
        identity; ///< {2, 1}: the first child of the second child of the main process
    std::uint32_t children_named = 0;
    std::optional<ParentProcess> parent;
    bool daemon = false;
};

[[nodiscard]] Self& self() noexcept;

/// The next child's number, its identity, and the name that follows from it.
struct NewName {
    std::vector<std::uint32_t> identity;
    std::string name;
};
[[nodiscard]] NewName next_child_name();

} // namespace multifork::detail
