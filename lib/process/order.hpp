#pragma once

#include "arena/handover.hpp"
#include "arena/layout.hpp"

#include <multifork/arena/crossing.hpp>
#include <multifork/process/start_method.hpp>
#include <multifork/process/target.hpp>

#include <cstdint>
#include <string>
#include <vector>

// What a child is told that was not forked: who it is, and what it is to do. It lies in the arena
// in a message that belongs to the child's record, with a hold on each object that it names; so
// the parent may end, or be killed, as soon as the child exists.

namespace multifork::detail {

/// Where a spawned child finds what it was given besides the arena (arena/handover.hpp).
inline constexpr int lifeline_place = arena::handed_over_descriptor + 1;
inline constexpr int socket_place = arena::handed_over_descriptor + 2;   ///< a fork server
inline constexpr int pid_word_place = arena::handed_over_descriptor + 3; ///< a fork server

struct Order {
    std::string name;
    bool daemon = false;
    std::vector<std::uint32_t> identity;
    int parent_pid = 0;
    std::string parent_name;
    StartMethod method = StartMethod::spawn;
    std::string authkey;
    std::uint32_t log_bits = 0; ///< platform::LogState
    arena::ObjectAddress board; ///< kind 0: there is none
};

/// Writes down the order and its target for a child whose record is begun.
/// \param kept  gets the named objects that must stay open here until the child has opened them
/// \throws NotShareable, OutOfSharedMemory
[[nodiscard]] arena::Handover write_order(Order order, const arena::Object& board,
                                          const Callable& target, arena::ProcessId child,
                                          std::vector<arena::Object>& kept);

/// Whether this process was spawned and its static objects are still being made.
[[nodiscard]] bool is_being_born() noexcept;

/// In the child, with nothing of the library on the stack that has a destructor: becomes what the
/// order says, and runs the target. \return the exit code
[[nodiscard]] int follow_order(const arena::Handover& told);

} // namespace multifork::detail
