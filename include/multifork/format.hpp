#pragma once

#include <fmt/format.h>

#include <concepts>
#include <string>
#include <string_view>

namespace multifork {

/// A type of this library that says in one line what it is, e.g. `<Lock held by Process-2 pid
/// 4243>`.
template <class T>
concept Describable = requires(const T& t) {
    typename T::multifork_describable;
    { t.to_string() } -> std::same_as<std::string>;
};

} // namespace multifork

// fmt/ranges.h, which a program may include besides, would print those that are ranges as ranges:
// two ways, of which the compiler takes neither.
FMT_BEGIN_NAMESPACE
template <typename T, typename Char>
struct is_range;
template <multifork::Describable T, typename Char>
struct is_range<T, Char> {
    static constexpr bool value = false;
};
FMT_END_NAMESPACE

/// Every public type prints with fmt.
template <multifork::Describable T>
struct fmt::formatter<T> : fmt::formatter<std::string_view> {
    template <class Context>
    auto format(const T& value, Context& context) const {
        const std::string text = value.to_string();
        return fmt::formatter<std::string_view>::format(text, context);
    }
};
