#pragma once

#include <multifork/platform/export.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace multifork {

/// How a child process comes into being.
enum class StartMethod : std::uint8_t {
    /// A copy of its parent: it has all its memory, and nothing needs to be serialised. The
    /// default.
    fork,
    /// The program anew: nothing of the parent's memory, threads and descriptors. The target and
    /// its arguments cross.
    spawn,
    /// A copy of a server process, which was spawned at first use and has done nothing since: as
    /// clean as spawn, nearly as quick as fork, however large the parent. Handlers that the program
    /// gave to pthread_atfork() do not run for it.
    forkserver,
};

/// "fork", "spawn", "forkserver"
[[nodiscard]] MULTIFORK_API std::string_view to_string(StartMethod method) noexcept;
/// \throws InvalidArgument for any other name
[[nodiscard]] MULTIFORK_API StartMethod start_method_of(std::string_view name);

/// {"fork", "spawn", "forkserver"}: the default first.
[[nodiscard]] MULTIFORK_API std::vector<std::string> get_all_start_methods();

/// How a Process starts that says nothing itself: what set_start_method() said, else what the
/// process itself was started by, else "fork".
[[nodiscard]] MULTIFORK_API std::string get_start_method();
/// The same; nothing if nobody has chosen or asked yet.
[[nodiscard]] MULTIFORK_API std::optional<std::string> get_start_method_if_set();

/// Chooses that, once in a program, before anything was started: in main().
/// \param force  chooses again \throws InvalidArgument, ProcessError when it was chosen before
MULTIFORK_API void set_start_method(std::string_view name, bool force = false);

/// The program that spawned children and the fork server run: this one, unless this says otherwise.
/// It must be the same build, at another path; "" means this one again.
MULTIFORK_API void set_executable(const std::filesystem::path& program);

/// Shared libraries that the fork server loads, so that its children need not.
/// \throws ProcessError when the server of this process runs already
MULTIFORK_API void set_forkserver_preload(std::vector<std::filesystem::path> libraries);

/// What start() does about a fork while other threads of this process run. The child has none of
/// them, and what one of them was doing (a mutex that it held) stays as it was, for ever.
enum class fork_with_threads : std::uint8_t {
    allow,
    warn,  ///< once, on stderr, with the names of the threads: the default
    refuse ///< start() throws ProcessError
};
MULTIFORK_API void set_fork_policy(fork_with_threads policy) noexcept;

} // namespace multifork
