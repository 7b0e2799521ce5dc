#pragma once

#include "toolkit/claims.hpp"

#include <cstdint>

/// Workers that read one big array: it lies in shared memory once, whatever their number; but
/// given as a std::vector, each gets a copy. \param bytes  of the array
void check_memory(demo::Claims& claims, std::int64_t n_jobs, std::int64_t bytes);
