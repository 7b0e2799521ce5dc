#pragma once

#include <functional>
#include <string>

namespace demo {

/// Runs a script by /bin/sh in the C locale and gives what it printed.
///
/// \param input  its standard input
/// \param watch  called now and then meanwhile
/// \throws std::runtime_error when it fails
[[nodiscard]] std::string run_shell(const std::string& script, const std::string& input,
                                    const std::function<void()>& watch);

} // namespace demo
