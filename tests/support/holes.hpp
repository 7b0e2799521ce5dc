#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <type_traits>

namespace multifork::test {

/// An object with its own address in each of its words: give its members values, and the padding
/// between them still holds parts of it, as it may hold parts of whatever was there before.
template <class T>
    requires std::is_trivially_copyable_v<T>
class OverAddresses {
public:
    OverAddresses() {
        const void* const self = this;
        for (std::size_t at = 0; at < sizeof(T); at += sizeof self)
            std::memcpy(bytes_.data() + at, &self, std::min(sizeof self, sizeof(T) - at));
    }
    OverAddresses(const OverAddresses&) = delete;
    OverAddresses& operator=(const OverAddresses&) = delete;

    T& operator*() { return *reinterpret_cast<T*>(bytes_.data()); }
    T* operator->() { return &**this; }

private:
    alignas(T) alignas(void*) std::array<std::byte, sizeof(T)> bytes_;
};

} // namespace multifork::test
