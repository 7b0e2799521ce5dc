#pragma once

#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

/// \file
/// A program inside the test program, for what only a fresh process image can show: the environment
/// at the first use of the library, buffers at exit, destructors of static objects.
///
/// \code
///   const support::Program greeting{"greeting", [] { std::printf("hello\n"); return 0; }};
///   ...
///   BOOST_TEST(support::run_program("greeting").out == "hello\n");
/// \endcode

namespace multifork::test {

/// Declares a program at namespace scope. When the test program is executed by run_program() for
/// it, the constructor runs it and exits with its result, by exit(), while the other static objects
/// are still being made; main() is never reached.
class Program {
public:
    Program(const char* name, int (*main)());
};

struct ProgramResult {
    int code = 0;    ///< n for exit(n), -n when signal n ended it
    std::string out; ///< what it, and its children, wrote to stdout until all of them ended
    std::string err;
};

using Environment = std::vector<std::pair<std::string, std::string>>;

/// Runs it and waits for its end, and for the end of whoever else holds its stdout.
[[nodiscard]] ProgramResult run_program(const std::string& name,
                                        const Environment& environment = {});

/// The same in the background. \return its pid; the caller waits for it
[[nodiscard]] pid_t start_program(const std::string& name, const Environment& environment = {});

} // namespace multifork::test
