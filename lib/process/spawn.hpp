#pragma once

#include "process/order.hpp"

#include <vector>

// Spawning: the program runs anew, with nothing of this process but the arena, and before its
// main() the library takes over (program_start.cpp).

namespace multifork::detail {

struct Spawned {
    int pid = 0;
    arena::ProcessId record;
    std::vector<arena::Object> kept; ///< for as long as the child may not have opened them
};

/// \param socket  one end of the fork server's; -1: none
/// \throws NotShareable, ProcessError, OutOfSharedMemory; then there is no child
[[nodiscard]] Spawned spawn(Order order, const arena::Object& board, const Callable& target,
                            int socket = -1);

} // namespace multifork::detail
