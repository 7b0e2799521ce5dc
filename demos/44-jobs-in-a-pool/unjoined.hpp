#pragma once

#include "toolkit/claims.hpp"

#include <cstdint>

/// A program ends although nobody closes, joins or even destroys its pool: with exit code 0, at
/// once, and its workers with it.
void check_unjoined(demo::Claims& claims, std::int64_t processes);
