#pragma once

namespace multifork::platform {

/// Process-wide state that is there before any code runs (declare it `constinit`) and is never
/// destroyed, because exit handlers and static destructors of any order may still use it.
///
/// A function-local static would not do. While one thread makes it, another may fork, and the child
/// would wait for ever for a thread that it does not have. The test package.no_guards keeps such
/// statics out of the library.
template <class T>
union Immortal {
    constexpr Immortal() : value_{} {}
    constexpr ~Immortal() {} // NOLINT: a defaulted one would be deleted

    constexpr T& operator*() noexcept { return value_; }
    constexpr T* operator->() noexcept { return &value_; }

private:
    T value_;
};

} // namespace multifork::platform
