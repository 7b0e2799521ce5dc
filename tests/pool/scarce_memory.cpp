#include "pool/scarce_memory.hpp"

#include <cstddef>
#include <cstdlib>
#include <new>

// The operators of the whole test program. In a file of their own: a compiler that sees one of them
// beside its calls complains about the other.

namespace multifork::test {

constinit thread_local int allocations_left = -1;

} // namespace multifork::test

void* operator new(std::size_t bytes) {
    int& left = multifork::test::allocations_left;
    if (left == 0)
        throw std::bad_alloc();
    if (left > 0)
        --left;
    if (void* const memory = std::malloc(bytes == 0 ? 1 : bytes))
        return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
