#pragma once

#include <string>

namespace multifork::test {

/// A name for a named object: the same for the same stem in this program and its forked children,
/// and in no other, as tests run side by side. It carries the mark of unique_name().
[[nodiscard]] std::string own_name(const std::string& stem);

} // namespace multifork::test
