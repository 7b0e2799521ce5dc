#pragma once

#include <string_view>

namespace multifork::test {

/// Says why a test case cannot run here; the case then returns:
///
///     if (!kernel_has_waitv()) {
///         return support::skip("needs futex_waitv");
///     }
///
/// The test is counted as skipped. What is known before the case starts can be said with Boost's
/// `* boost::unit_test::precondition(…)` instead.
void skip(std::string_view reason);

/// How often skip() was called.
[[nodiscard]] int cases_skipped();

} // namespace multifork::test
