#pragma once

#include <multifork/channel/connection.hpp>
#include <multifork/channel/waitable.hpp>
#include <multifork/platform/export.hpp>

#include <memory>
#include <optional>

/// \file
/// \internal What an Asio operation gives to its io_context to wait for.

namespace multifork::detail {

/// Several descriptors behind one, which is readable as long as one of them is. It neither changes
/// them nor keeps them open; and epoll, which takes a number once, takes any number of these for
/// the same descriptor.
class MULTIFORK_API DescriptorSet {
public:
    /// \throws Error when the process has no descriptor left
    DescriptorSet();
    ~DescriptorSet();
    DescriptorSet(const DescriptorSet&) = delete;
    DescriptorSet& operator=(const DescriptorSet&) = delete;

    /// \throws Error
    void add(int descriptor);
    [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
    /// It is the caller's from now on.
    void release() noexcept { descriptor_ = -1; }

private:
    int descriptor_;
};

/// Something that is waited for, kept open meanwhile where it belongs to this library.
class MULTIFORK_API Watched {
public:
    /// Once. \throws ConnectionClosed, Error
    /// @{
    void begin(const Waitable& what, DescriptorSet& into);
    /// With what close() says, which must end the wait.
    void begin(const AnyConnection& connection, DescriptorSet& into);
    /// @}
    /// Before each further wait: it is readable at once if something has come meanwhile.
    void rearm();

private:
    std::optional<Readiness> readiness_;
    std::shared_ptr<const void> keep_;
};

} // namespace multifork::detail
