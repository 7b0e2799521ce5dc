#pragma once

#include <concepts>
#include <type_traits>

namespace multifork {

/// A type whose bytes mean the same in every process: it can lie in shared memory as it is.
///
/// That is a trivially copyable type that holds no address. The compiler can see the first half;
/// for the second it sees only the obvious (T is itself a pointer or a reference). A struct with a
/// pointer inside passes, and the pointer means nothing in another process: send an index or an
/// offset instead.
///
/// What cannot be moved (std::mutex, std::atomic) is none, though some compilers call it trivially
/// copyable.
template <class T>
concept Shareable =
    std::is_trivially_copyable_v<T> && std::is_move_constructible_v<T> && std::is_object_v<T> &&
    !std::is_pointer_v<T> && !std::is_member_pointer_v<T> && !std::is_const_v<T> &&
    !std::is_volatile_v<T>;

} // namespace multifork
