#pragma once

#include "process/child.hpp"

#include <multifork/platform/clock.hpp>
#include <multifork/process/process.hpp>

#include <mutex>

namespace multifork::detail {

/// A worker, as its pool sees it. Others have handles on it (Pool::processes(), active_children()),
/// and may close() one as soon as it has ended: then a ProcessHandle throws, and this does not.
class WorkerHandle : public ProcessHandle {
public:
    explicit WorkerHandle(const ProcessHandle& worker) : ProcessHandle(worker) {}

    /// Reaps it. \return whether it has ended
    [[nodiscard]] bool ends_before(platform::Deadline deadline) const {
        return child().wait(deadline);
    }
    /// Does nothing when it has ended.
    void send(int signal) const { child().signal(signal); }
    /// Of one that has ended.
    [[nodiscard]] int code() const {
        const std::scoped_lock hold(child().mutex);
        return child().exitcode.value_or(0);
    }
};

} // namespace multifork::detail
