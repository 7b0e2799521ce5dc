#pragma once

#include "liveness/sleep.hpp"

#include <multifork/core/ring.hpp>
#include <multifork/liveness/domain.hpp>

#include <memory>
#include <vector>

namespace multifork::detail {

/// Something in shared memory that becomes ready. Whoever waits for several uses these steps, which
/// are those of liveness::Sleep:
///
///   begin() each | ready() of each, and none is | arm() each | arm_peers() each | wait() |
///   slept() each
///
/// and, when it leaves having slept, pass_on() each: it takes nothing, and the wake-up may have
/// been for somebody who does. At last end() each. Only between begin() and end() may the shared
/// memory be touched: another thread may close what is waited for.
class Source {
public:
    Source() = default;
    virtual ~Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    [[nodiscard]] virtual liveness::Domain& domain() const noexcept = 0;
    [[nodiscard]] virtual core::RingHeader& ring() const noexcept = 0;
    /// \return false when it was closed
    [[nodiscard]] virtual bool begin() noexcept { return true; }
    virtual void end() noexcept {}
    [[nodiscard]] virtual bool ready() = 0;
    /// \return false when it may be ready: do not sleep
    [[nodiscard]] virtual bool arm(liveness::Sleep& sleep) = 0;
    /// \return false when it may be ready \param unwatched  set when only a tick tells of some peer
    [[nodiscard]] virtual bool arm_peers(liveness::Sleep&, bool& /*unwatched*/) { return true; }

    void slept() { ring().not_empty.store(1); }
    void pass_on() { core::ring_signal(ring().not_empty); }
};

/// Keeps sources between begin() and end().
class HeldSources {
public:
    HeldSources() = default;
    ~HeldSources() {
        for (const auto& source : held_)
            source->end();
    }
    HeldSources(const HeldSources&) = delete;
    HeldSources& operator=(const HeldSources&) = delete;
    /// \return false when it was closed
    [[nodiscard]] bool hold(const std::shared_ptr<Source>& source) {
        held_.reserve(held_.size() + 1);
        if (!source->begin())
            return false;
        held_.push_back(source);
        return true;
    }

private:
    std::vector<std::shared_ptr<Source>> held_;
};

} // namespace multifork::detail
