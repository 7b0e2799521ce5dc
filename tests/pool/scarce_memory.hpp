#pragma once

namespace multifork::test {

/// How often this thread may still allocate before std::bad_alloc; less than 0: always.
extern constinit thread_local int allocations_left;

} // namespace multifork::test
