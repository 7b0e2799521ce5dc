#pragma once

/// \file
/// Marks what a shared multifork library lets out.
///
/// The library is compiled with hidden visibility. Everything that a program may link to, and every
/// type that it may catch or `dynamic_cast`, carries `MULTIFORK_API`. In the static library the
/// macro is empty. `MULTIFORK_SHARED` comes from the build (CMake target, pkg-config file), for the
/// library and for its users alike; ELF needs no difference between the two.

#if defined(MULTIFORK_SHARED)
#define MULTIFORK_API __attribute__((visibility("default")))
#else
#define MULTIFORK_API
#endif
