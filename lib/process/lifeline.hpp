#pragma once

namespace multifork::detail {

// How a daemon child dies with its parent, even if that is SIGKILLed.
//
// PR_SET_PDEATHSIG would fire when the parent *thread* that forked ends, and not at all if the
// parent died before the child asked for it. Instead each process that starts a daemon keeps the
// write end of a pipe. The daemon asks for SIGKILL as the pipe's I/O signal (F_SETSIG) and then
// looks whether the pipe has hung up already. When the parent ends, however it ends, the kernel
// closes the write end and kills the daemon. No thread, no handler, no race.

/// Makes the pipe, before the first daemon is forked. \throws Error
void prepare_lifeline();

/// The pipe's end for children that are not forked, which get a copy of it.
[[nodiscard]] int lifeline_descriptor() noexcept;
/// In such a child: which descriptor that is.
void take_lifeline(int descriptor) noexcept;

/// In a daemon child, before its target: ties this process to its parent, or ends it when the
/// parent is gone already. \throws ProcessError when it cannot, so that no daemon runs untied
void hold_on_to_parent();
/// In a process that another one than its parent forked, and which therefore has a copy of what
/// ties that one to its parent: closes it.
void let_go_of_forkers_parent() noexcept;

/// Around every fork, also one that is not ours: a child that kept the write end would keep its
/// parent's daemons alive.
void lock_lifeline_for_fork();
void unlock_lifeline_after_fork() noexcept;
void cut_lifeline_in_child() noexcept;

} // namespace multifork::detail
