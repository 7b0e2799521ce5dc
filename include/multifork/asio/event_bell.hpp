#pragma once

#include <multifork/platform/export.hpp>

namespace multifork::detail {

/// A descriptor that another thread makes readable, for good. \threads safe
class MULTIFORK_API EventBell {
public:
    /// \throws Error when the process has no descriptor left
    EventBell();
    ~EventBell();
    EventBell(const EventBell&) = delete;
    EventBell& operator=(const EventBell&) = delete;

    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
    void ring() noexcept;

private:
    int descriptor_;
};

} // namespace multifork::detail
