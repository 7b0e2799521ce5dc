#pragma once

#include "arena/handover.hpp"
#include "arena/layout.hpp"
#include "platform/system.hpp"

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
/// Those of its connections, from here on; a fork server has none.
inline constexpr int passed_place = arena::handed_over_descriptor + 2;

struct Order {
    std::string name;
    bool daemon = false;
    std::vector<std::uint32_t> identity;
    int parent_pid = 0;
    std::string parent_name;
    StartMethod method = StartMethod::spawn;
    std::string authkey;
    std::uint32_t log_bits = 0;        ///< platform::LogState
    std::uint64_t blocked_signals = 0; ///< by the thread that starts it: signal n is bit n - 1
    arena::ObjectAddress board;        ///< kind 0: there is none
};

struct WrittenOrder {
    arena::Handover told;
    std::vector<arena::Object> kept; ///< must stay open here until the child has opened them
    std::vector<platform::Descriptor> passed; ///< to be the child's, in this order
};
/// Writes down the order and its target for a child whose record is begun.
/// \throws NotShareable, OutOfSharedMemory
[[nodiscard]] WrittenOrder write_order(Order order, const arena::Object& board,
                                       const Callable& target, arena::ProcessId child);

/// Whether this process was spawned and its static objects are still being made.
[[nodiscard]] bool is_being_born() noexcept;

/// In the child, with nothing of the library on the stack that has a destructor: becomes what the
/// order says, and runs the target. What came with it, note_arrived() knows. \return the exit code
[[nodiscard]] int follow_order(const arena::Handover& told);
/// In a spawned child, first of all: what came with it, from passed_place on.
void take_passed(const arena::Handover& told);

} // namespace multifork::detail
