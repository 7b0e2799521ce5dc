#pragma once

namespace multifork::detail {

/// This process is a worker of a Pool: a Parallel in it runs its jobs one after another.
void note_within_worker() noexcept;

} // namespace multifork::detail
