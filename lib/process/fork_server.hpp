#pragma once

#include "process/order.hpp"

// The fork server: a process that was spawned by this one at first use, has one thread and touches
// nothing, and forks the children of this process when asked.
//
// Its children are not its own: it clones them with CLONE_PARENT, so that they are children of the
// process that asked. So that process waits for them as for any child, and no exit code is lost
// when the server dies. The kernel writes the child's pid into a page that both share
// (CLONE_PARENT_SETTID) before the child runs and before the server goes on: should the server die
// before it answers, the page says whether there is a child.
//
//   this process                         server
//   ------------                         ------
//   begin the child's record, write the order, clear the page's word
//   send {record, order} and      --->   recv
//     the child's descriptors
//                                        clone(CLONE_PARENT)  --->  the child follows the order
//   recv, or see the server end   <---   send errno
//   the page's word: is there a child? If not, and the server has died: another server
//
// It ends with this process (process/lifeline.hpp), and when this process closes the socket. A
// forked child of this process has no server, and starts one of its own.

namespace multifork::detail {

/// Has the server make the child. \throws ProcessError; then there is none
/// \return its pid
[[nodiscard]] int fork_by_server(const WrittenOrder& order);

[[nodiscard]] bool fork_server_runs();
/// Its pid; 0 when there is none. For tests.
[[nodiscard]] int fork_server_pid();
/// Ends it and waits for that; the next child starts another one.
void stop_fork_server() noexcept;

void lock_fork_server_for_fork();
void unlock_fork_server_after_fork() noexcept;
void forget_fork_server_in_child() noexcept;

} // namespace multifork::detail
