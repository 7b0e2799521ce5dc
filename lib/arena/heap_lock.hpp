#pragma once

#include "arena/heap.hpp"

#include <multifork/core/lock_cell.hpp>
#include <multifork/platform/mutant.hpp>

#include <cstdlib>

namespace multifork::arena {

/// Holds the heap's lock, and has repaired what a dead holder left.
class Heap::Locked {
public:
    explicit Locked(Heap& heap) : heap_(heap) {
        const auto got = core::lock(heap.header().lock, heap.domain_, liveness::enter(heap.domain_),
                                    platform::Deadline::never(), core::OnDeath::inherit);
        if (got == core::Acquired::would_deadlock)
            std::abort(); // a bug of ours: no call nests
        if (got == core::Acquired::inherited && !MULTIFORK_MUTANT(no_heap_rebuild))
            heap.rebuild();
    }
    ~Locked() {
        if (heap_.released_)
            heap_.free_unreachable();
        core::unlock(heap_.header().lock);
    }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;

private:
    Heap& heap_;
};

} // namespace multifork::arena
