#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

namespace multifork {
namespace detail {

/// Whether a T is, or visibly contains, an address.
template <class T>
inline constexpr bool is_address = std::is_pointer_v<T> || std::is_member_pointer_v<T> ||
                                   std::is_null_pointer_v<T> || std::is_reference_v<T>;
template <class T, std::size_t N>
inline constexpr bool is_address<T[N]> = is_address<T>;
template <class T, std::size_t N>
inline constexpr bool is_address<std::array<T, N>> = is_address<T>;
template <class T>
inline constexpr bool is_address<std::optional<T>> = is_address<T>;
template <class T, class U>
inline constexpr bool is_address<std::pair<T, U>> = is_address<T> || is_address<U>;
template <class T>
inline constexpr bool is_address<std::reference_wrapper<T>> = true;
template <class T, std::size_t N>
inline constexpr bool is_address<std::span<T, N>> = true;
template <class C, class Traits>
inline constexpr bool is_address<std::basic_string_view<C, Traits>> = true;

} // namespace detail

/// A type whose bytes mean the same in every process: it can lie in shared memory as it is.
///
/// That is a trivially copyable type that holds no address. The compiler can see the first half;
/// for the second it sees the plain cases: pointers, references, std::span, std::string_view, and
/// arrays, optionals and pairs of these. A struct with a pointer inside passes, and the pointer
/// means nothing in another process: send an index, an offset or a std::string instead.
///
/// What cannot be moved (std::mutex, std::atomic) is none, though some compilers call it trivially
/// copyable.
template <class T>
concept Shareable = std::is_trivially_copyable_v<T> && std::is_move_constructible_v<T> &&
                    std::is_object_v<T> && !detail::is_address<T> &&
                    !std::is_const_v<T> && !std::is_volatile_v<T>;

} // namespace multifork
