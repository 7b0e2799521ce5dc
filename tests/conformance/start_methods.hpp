#pragma once

#include "support/start_methods.hpp"

// MULTIFORK_EACH_START_METHOD(P_006_name) { ... } defines the rows P_006_name (fork),
// P_006_name_spawn and P_006_name_forkserver.

namespace conformance {
using multifork::test::ServerStops;
} // namespace conformance
