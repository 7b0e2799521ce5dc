#pragma once

#include <multifork/platform/export.hpp>

#include <string_view>

/// \file
/// The version, for the preprocessor and at run time.

#define MULTIFORK_VERSION_MAJOR 0
#define MULTIFORK_VERSION_MINOR 1
#define MULTIFORK_VERSION_PATCH 0

/// One number that can be compared: 1.2.3 is 10203.
#define MULTIFORK_VERSION                                                                          \
    (MULTIFORK_VERSION_MAJOR * 10000 + MULTIFORK_VERSION_MINOR * 100 + MULTIFORK_VERSION_PATCH)

namespace multifork {

/// The version of the library that the program runs with, as in "1.2.3". It differs from the macros
/// if the program was compiled against another shared library than it finds.
[[nodiscard]] MULTIFORK_API std::string_view version() noexcept;

} // namespace multifork
