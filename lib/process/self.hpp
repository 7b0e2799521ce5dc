#pragma once

#include <multifork/process/this_process.hpp>

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace multifork::detail {

/// What this process knows about itself; one a process, replaced in a child.
struct Self {
    std::mutex mutex;
    std::optional<std::string> name; ///< nothing: "MainProcess"
    [[nodiscard]] std::string shown_name() const { return name.value_or("MainProcess"); }
    std::vector<std::uint32_t>
        identity; ///< {2, 1}: the first child of the second child of the main process
    std::uint32_t children_named = 0;
    std::optional<ParentProcess> parent;
    bool daemon = false;
    std::optional<std::string> authkey; ///< made at first use; the same in all of the tree
};

[[nodiscard]] Self& self() noexcept;

/// The next child's number, its identity, and the name that follows from it.
struct NewName {
    std::vector<std::uint32_t> identity;
    std::string name;
};
/// \param prefix  "Process", "SpawnProcess", ...
[[nodiscard]] NewName next_child_name(std::string_view prefix);

/// The key of this tree, made at first use.
[[nodiscard]] std::string own_authkey();

} // namespace multifork::detail
