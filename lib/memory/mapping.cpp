#include "memory/mapping.hpp"

#include <sys/mman.h>

namespace multifork::memory {
namespace {

/// What mapped_region asks of a thing that can be mapped, around a bare descriptor.
class MappableDescriptor {
public:
    explicit MappableDescriptor(int fd) noexcept : handle_{fd, false} {}
    [[nodiscard]] boost::interprocess::mapping_handle_t get_mapping_handle() const noexcept {
        return handle_;
    }

private:
    boost::interprocess::mapping_handle_t handle_;
};

} // namespace

Mapping::Mapping(int fd, std::size_t size)
    // MAP_NORESERVE: the arena is a large reservation of which little is ever touched.
    : region_(MappableDescriptor(fd), boost::interprocess::read_write, 0, size, nullptr,
              MAP_NORESERVE) {
    // A core dump would fill every page of the reservation, and write it: gigabytes of zeros, for
    // minutes, in which the process counts as alive. A kernel that cannot leave it out dumps it.
    static_cast<void>(::madvise(region_.get_address(), size, MADV_DONTDUMP));
}

} // namespace multifork::memory
