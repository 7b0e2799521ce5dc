#pragma once

#include "process/order.hpp"

#include <span>
#include <vector>

// Spawning: the program runs anew, with nothing of this process but the arena, and before its
// main() the library takes over (program_start.cpp).

namespace multifork::detail {

struct Spawned {
    int pid = 0;
    arena::ProcessId record;
    std::vector<arena::Object> kept; ///< for as long as the child may not have opened them
};

/// \param more  descriptors that the child is to have behind those of every child (order.hpp)
/// \throws NotShareable, ProcessError, OutOfSharedMemory; then there is no child
[[nodiscard]] Spawned spawn(Order order, const arena::Object& board, const Callable& target,
                            std::span<const int> more = {});

} // namespace multifork::detail
