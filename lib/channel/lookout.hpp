#pragma once

#include "channel/source.hpp"
#include "platform/system.hpp"

#include <memory>

namespace multifork::detail {

/// A source that is watched, and the descriptor that shows it.
struct Watch {
    std::shared_ptr<Source> source;
    platform::Descriptor event; // an eventfd
    std::uint32_t pid = 0;      // whose thread watches
    bool armed = false;         // under the lookout's mutex: watched, and not shown yet
};

/// Has a source watched. \throws Error
[[nodiscard]] std::shared_ptr<Watch> watch(std::shared_ptr<Source> source);
void rearm(const std::shared_ptr<Watch>& watch);
void unwatch(const std::shared_ptr<Watch>& watch) noexcept;

} // namespace multifork::detail
