#pragma once

#include <multifork/channel/crossing.hpp>
#include <multifork/platform/export.hpp>
#include <multifork/pool/future.hpp>

#include <cstddef>
#include <type_traits>
#include <vector>

/// \file
/// \internal What may cross into a worker and back, and what to do instead.

namespace multifork::detail {

template <class F>
constexpr void check_crosses() {
    static_assert(Crossable<F>,
                  "what a Pool runs must cross into its workers: a function, or a closure that "
                  "captures nothing, or plain values; give the rest as arguments, or bind it with "
                  "multifork::bind_front(), which can carry strings, containers and handles");
}
template <class T>
constexpr void check_argument_crosses() {
    static_assert(Crossable<T>,
                  "an argument of what a Pool runs must cross into its workers: it must be "
                  "trivially copyable without addresses, known to the codec (std::string, "
                  "containers, structs of these, a serialize()), a handle on a shared object, or "
                  "a std::span<const T> of what lies in the arena; for a const char* take "
                  "std::string");
}
template <class R>
constexpr void check_result_crosses() {
    static_assert(std::is_void_v<R> || Crossable<Stored<R>>,
                  "the result of what a Pool runs must cross back: it must be trivially copyable "
                  "without addresses, known to the codec, or a handle on a shared object; it "
                  "cannot be a pointer");
}

/// \throws NotShareable, which speaks of workers
[[noreturn]] MULTIFORK_API void rethrow_for_pool(const NotShareable& error);

/// What a result is on its way: void is nothing.
template <class R>
void write_result(std::vector<std::byte>& bytes, const R& result) {
    ByteWriter writer(bytes);
    Cross<R>::write(writer, result);
}

} // namespace multifork::detail
