#pragma once

#include <multifork/channel/crossing.hpp>
#include <multifork/platform/export.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <span>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <vector>

namespace multifork {
namespace detail {

/// A type of exception that both sides of a pool know.
struct KnownException {
    const std::type_info* type;
    /// Writes down the exception that is being handled, which is of exactly this type.
    void (*write)(std::vector<std::byte>& bytes);
    /// Throws one that is read from such bytes, with what is being handled nested in it.
    void (*rethrow)(std::span<const std::byte> bytes);
    KnownException* next = nullptr;
    std::atomic<bool> listed = false;
};
/// Twice is once. \threads safe
MULTIFORK_API void know_exception(KnownException& known) noexcept;

template <class E>
void write_exception(std::vector<std::byte>& bytes) {
    try {
        throw;
    } catch (const E& error) {
        if constexpr (Crossable<E>)
            write_crossing(error, bytes);
        else
            write_crossing(std::string(error.what()), bytes);
    }
}
template <class E>
void rethrow_exception(std::span<const std::byte> bytes) {
    const auto read = [&]() -> E {
        if constexpr (Crossable<E>)
            return read_crossing<E>(bytes);
        else
            return E(read_crossing<std::string>(bytes));
    };
    if constexpr (std::is_final_v<E>)
        throw read();
    else
        std::throw_with_nested(read());
}

template <class E>
inline constinit KnownException known_exception{&typeid(E), &write_exception<E>,
                                                &rethrow_exception<E>};

} // namespace detail

/// Has exceptions of type E come back from a pool's workers as an E, as standard ones do: one that
/// is thrown by a task, with exactly this type, is thrown by get() with this type. Else it comes as
/// a RemoteError that names the type and has its text.
///
/// E crosses with all that is in it if the codec knows it, by a serialize() say; else it must be
/// constructible from a std::string, and is made of what() alone. What says where it was thrown is
/// nested in it, unless E is final: remote_cause().
///
/// Both sides must know it. A static object does that wherever the program is, in spawned workers
/// too:
///
/// \code
///   const mp::RegisteredException<ParseError> registered;   // at namespace scope
/// \endcode
///
/// \threads safe
template <class E>
class RegisteredException {
public:
    static_assert(std::is_class_v<E> && (Crossable<E> || (std::is_base_of_v<std::exception, E> &&
                                                          std::is_constructible_v<E, std::string>)),
                  "a registered exception must be known to the codec (give it a serialize()), or "
                  "be a std::exception that can be made from a std::string");
    RegisteredException() noexcept { detail::know_exception(detail::known_exception<E>); }
};

} // namespace multifork
