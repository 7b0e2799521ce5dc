#pragma once

#include "liveness/sleep.hpp"

#include <multifork/core/ring.hpp>
#include <multifork/liveness/domain.hpp>

#include <memory>

namespace multifork::detail {

/// Something in shared memory that becomes ready. Whoever waits for several uses these steps, which
/// are those of liveness::Sleep:
///
///   ready() of each, and none is | arm() each | arm_peers() each | wait() | slept() each
///
/// and, when it leaves having slept, pass_on() each: it takes nothing, and the wake-up may have
/// been for somebody who does.
class Source {
public:
    Source() = default;
    virtual ~Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    [[nodiscard]] virtual liveness::Domain& domain() const noexcept = 0;
    [[nodiscard]] virtual core::RingHeader& ring() const noexcept = 0;
    [[nodiscard]] virtual bool ready() = 0;
    /// \return false when it may be ready: do not sleep
    [[nodiscard]] virtual bool arm(liveness::Sleep& sleep) = 0;
    /// \return false when it may be ready \param unwatched  set when only a tick tells of some peer
    [[nodiscard]] virtual bool arm_peers(liveness::Sleep&, bool& /*unwatched*/) { return true; }

    void slept() { ring().not_empty.store(1); }
    void pass_on() { core::ring_signal(ring().not_empty); }
};

} // namespace multifork::detail
