#pragma once

#include <multifork/channel/array.hpp>
#include <multifork/channel/raw_value.hpp>
#include <multifork/channel/value.hpp>

namespace multifork {

/// \name A new unnamed object with the same contents
/// To copy a handle is to mean the same object; this makes another one. What has a lock is read
/// under it. \throws OutOfSharedMemory, OwnerDied
/// @{
template <Shareable T>
[[nodiscard]] Value<T> copy(const Value<T>& value) {
    return Value<T>(value.load());
}
template <Shareable T>
[[nodiscard]] RawValue<T> copy(const RawValue<T>& value) {
    return RawValue<T>(value.value().get());
}
template <Shareable T>
[[nodiscard]] Array<T> copy(const Array<T>& array) {
    return Array<T>(array.to_vector(), {.max_size = array.max_size()});
}
template <Shareable T>
[[nodiscard]] RawArray<T> copy(const RawArray<T>& array) {
    return RawArray<T>(array.to_vector());
}
/// @}

} // namespace multifork
