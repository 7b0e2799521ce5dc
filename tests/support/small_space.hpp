#pragma once

#include "arena/layout.hpp"
#include "arena/space_impl.hpp"
#include "platform/system.hpp"

#include <multifork/liveness/domain.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace multifork::test {

/// A space of a test's own, as small as it likes.
class SmallSpace {
public:
    explicit SmallSpace(std::size_t heap_bytes, std::uint32_t threads = 64,
                        std::uint32_t processes = 64)
        : space_(make(heap_bytes, threads, processes)) {}
    ~SmallSpace() { liveness::detach(space_.domain()); } // its beacon lies in memory that goes now
    SmallSpace(const SmallSpace&) = delete;
    SmallSpace& operator=(const SmallSpace&) = delete;

    [[nodiscard]] arena::Space& space() noexcept { return space_; }
    [[nodiscard]] arena::Heap& heap() noexcept { return space_.impl().heap; }
    [[nodiscard]] liveness::Domain& domain() noexcept { return space_.domain(); }

private:
    static std::unique_ptr<arena::Space::Impl> make(std::size_t heap_bytes, std::uint32_t threads,
                                                    std::uint32_t processes) {
        const arena::SegmentShape shape{
            (arena::heap_offset(threads, processes) + heap_bytes + 4095) / 4096 * 4096, threads,
            processes};
        auto file = platform::sealed_memory_file("multifork-test", shape.bytes);
        const int fd = file.get();
        auto impl = std::make_unique<arena::Space::Impl>(fd, shape, std::move(file));
        arena::Space::Impl::format(impl->mapping.data(), shape);
        return impl;
    }

    arena::Space space_;
};

} // namespace multifork::test
