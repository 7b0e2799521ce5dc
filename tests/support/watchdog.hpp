#pragma once

#include <string_view>

/// \file
/// Ends a test program whose test case takes too long, and the processes that it started with it.
///
/// The main() in this folder arms it around every case, so tests need not call anything here. A
/// case that needs more than the default of its program says `* boost::unit_test::timeout(120)`;
/// the environment variable MULTIFORK_TEST_SLOWDOWN multiplies all limits.
///
/// It works with a POSIX timer and a real-time signal: no thread, because a second thread would
/// change what fork does; no SIGALRM, because that belongs to the code under test. A forked child
/// inherits no timer and is never ended by this.

namespace multifork::test {

/// Limits are multiplied by this in an instrumented program.
extern const unsigned built_in_slowdown;

/// How long a case of this program may take unless it says otherwise.
[[nodiscard]] unsigned default_seconds();

/// The factor for times in tests: built in, times MULTIFORK_TEST_SLOWDOWN.
[[nodiscard]] unsigned slowdown();

/// Makes this process the leader of a process group, so that the watchdog reaches grandchildren
/// too. If the parent then dies (an interrupted ctest), so does this group.
void start_own_process_group();

/// Starts the clock. After `seconds` times slowdown() the name goes to stderr, the process group is
/// killed, and the program exits with 99. Does nothing below a debugger.
void arm_watchdog(std::string_view name, unsigned seconds);

void disarm_watchdog();

} // namespace multifork::test
