#pragma once

#include <multifork/platform/export.hpp>

#include <optional>
#include <string>

namespace multifork {

/// A process as another one knows it by name.
struct ParentProcess {
    int pid = 0;
    std::string name;
};

/// The calling process.
namespace this_process {

[[nodiscard]] MULTIFORK_API int pid() noexcept;
[[nodiscard]] MULTIFORK_API int ppid() noexcept;
/// "MainProcess", or the name that the Process was given: "Process-1", and "Process-1:2" for the
/// second child of that.
[[nodiscard]] MULTIFORK_API std::string name();
MULTIFORK_API void set_name(std::string name);
/// Whether this process was started as a daemon.
[[nodiscard]] MULTIFORK_API bool daemon() noexcept;
/// The process that made this one by Process::start(); nothing in the main process.
[[nodiscard]] MULTIFORK_API std::optional<ParentProcess> parent();
/// The key with which processes of this tree prove to each other, over a socket, that they belong
/// to it: 32 random bytes, made by the first process that asks or has a child, and the same in all
/// of its descendants. For SocketOptions::authkey.
[[nodiscard]] MULTIFORK_API std::string authkey();
/// Another key, for this process and the children that it starts from now on.
/// \throws InvalidArgument when it is empty
MULTIFORK_API void set_authkey(std::string key);
/// `<MainProcess name='MainProcess' pid=4200 started>`
[[nodiscard]] MULTIFORK_API std::string to_string();

} // namespace this_process
} // namespace multifork
