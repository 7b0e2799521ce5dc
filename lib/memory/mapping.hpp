#pragma once

#include <boost/interprocess/detail/os_file_functions.hpp>
#include <boost/interprocess/mapped_region.hpp>

#include <cstddef>

namespace multifork::memory {

/// A shared, writable mapping of a whole descriptor, by Boost.Interprocess.
class Mapping {
public:
    /// Maps `size` bytes of `fd` anywhere. \throws boost::interprocess::interprocess_exception
    Mapping(int fd, std::size_t size);

    [[nodiscard]] std::byte* data() const noexcept {
        return static_cast<std::byte*>(region_.get_address());
    }
    [[nodiscard]] std::size_t size() const noexcept { return region_.get_size(); }

private:
    boost::interprocess::mapped_region region_;
};

} // namespace multifork::memory
