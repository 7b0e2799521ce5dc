#pragma once

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

/// \file
/// What a function of the user's makes of a value: update() of a Value, fetch_update() of the
/// containers.

namespace multifork::detail {

enum class HowChanged { in_place, by_result, not_clear };

template <class F, class T>
[[nodiscard]] consteval HowChanged how_changed() {
    using Result = std::invoke_result_t<F&, T&>;
    if constexpr (!std::is_convertible_v<Result, T>)
        return HowChanged::in_place;
    else if constexpr (std::invocable<F&, const T&>)
        return HowChanged::by_result;
    else if constexpr (std::same_as<Result, T&>)
        return HowChanged::in_place; // what it returns is what it has changed
    else
        return HowChanged::not_clear; // `[](int& n) { return n++; }`
}

template <class F, class T>
inline constexpr bool is_clear = how_changed<F, T>() != HowChanged::not_clear;

/// A function that changes its argument, `f(T&)`, or returns the new value, `f(const T&)`. One that
/// might do either, because it takes a T& and returns a T, is none.
template <class F, class T>
concept Change = std::invocable<F&, T&> && is_clear<F, T>;

/// What f makes of the value. \throws what f throws
template <class T, Change<T> F>
[[nodiscard]] T changed(T value, F& f) {
    if constexpr (how_changed<F, T>() == HowChanged::by_result) {
        return static_cast<T>(std::invoke(f, value));
    } else {
        std::invoke(f, value);
        return value;
    }
}

} // namespace multifork::detail
