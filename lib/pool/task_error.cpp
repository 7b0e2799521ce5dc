#include <multifork/pool/error.hpp>
#include <multifork/pool/registered_exception.hpp>
#include <multifork/pool/task.hpp>
#include <multifork/process/this_process.hpp>

#include <boost/core/demangle.hpp>
#include <cxxabi.h>

#include <any>
#include <atomic>
#include <functional>
#include <ios>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <variant>
#include <vector>

// Exceptions from a worker to the parent: as the name of the type, what it said, and which of the
// types that both sides know it is.

namespace multifork::detail {
namespace {

struct Told {
    std::uint32_t known = 0; // 0: none of them; else its place in the list, from 1
    std::int32_t code = 0;   // of a std::system_error, of one of the two categories of the system
    bool generic = false;
    std::string type;
    std::string text;
    std::string process;
    std::int32_t pid = 0;
    std::uint64_t item = 0;
    bool registered = false; // `bytes` are the exception, and
    std::string mangled;     // that is its type
    std::vector<std::byte> bytes;
};

/// One with that text: what it was made with, a colon, and what its code means.
std::system_error system_error_of(const Told& told) {
    const std::error_code code(told.code,
                               told.generic ? std::generic_category() : std::system_category());
    const std::string end = ": " + code.message();
    if (!told.text.ends_with(end))
        return std::system_error(code);
    return {code, told.text.substr(0, told.text.size() - end.size())};
}

/// Throws an E with that text, and what is being handled nested in it.
template <class E>
[[noreturn]] void throw_again(const Told& told) {
    if constexpr (std::is_same_v<E, std::system_error>)
        std::throw_with_nested(system_error_of(told));
    else if constexpr (std::is_default_constructible_v<E> &&
                       !std::is_constructible_v<E, std::string>)
        std::throw_with_nested(E());
    else
        std::throw_with_nested(E(told.text));
}

/// The exact types that arrive as they are.
template <class... E>
struct Types {
    static std::uint32_t place_of(const std::type_info& type) {
        std::uint32_t place = 0;
        std::uint32_t found = 0;
        ((++place, found = type == typeid(E) ? place : found), ...);
        return found;
    }
    static void throw_it(const Told& told) {
        std::uint32_t place = 0;
        ((++place == told.known ? throw_again<E>(told) : void()), ...);
    }
};

using Known =
    Types<std::runtime_error, std::logic_error, std::invalid_argument, std::domain_error,
          std::length_error, std::out_of_range, std::range_error, std::overflow_error,
          std::underflow_error, std::bad_alloc, std::bad_cast, std::bad_typeid,
          std::bad_function_call, std::bad_optional_access, std::bad_variant_access,
          std::bad_any_cast, std::bad_weak_ptr, std::system_error, InvalidArgument, OwnerDied,
          NotOwner, WouldDeadlock, BrokenBarrier, QueueClosed, EndOfStream, BrokenPipe,
          ConnectionClosed, OutOfSharedMemory, LayoutMismatch, CorruptSharedMemory, NotShareable,
          NotFound, AlreadyExists, BrokenPool, Cancelled, TimedOut, InvalidState, BrokenProcessPool,
          BrokenThreadPool, KeyNotFound, TypeMismatch, AuthenticationError, TooManyThreads>;

// Pushed to by anybody, and never taken from.
constinit std::atomic<KnownException*> registered_exceptions{nullptr};

template <class Matches>
const KnownException* find_registered(Matches matches) noexcept {
    // acquire: pairs with the release in know_exception()
    const KnownException* at = registered_exceptions.load(std::memory_order_acquire);
    while (at != nullptr && !matches(*at->type))
        at = at->next;
    return at;
}

} // namespace

void know_exception(KnownException& known) noexcept {
    if (known.listed.exchange(true))
        return;
    known.next = registered_exceptions.load(std::memory_order_relaxed);
    while (!registered_exceptions.compare_exchange_weak(
        known.next, &known, std::memory_order_release, std::memory_order_relaxed)) {
    }
}

void write_error(std::vector<std::byte>& bytes, std::uint64_t item) noexcept {
    try {
        Told told;
        told.process = this_process::name();
        told.pid = this_process::pid();
        told.item = item;
        bool own_category = false;
        const std::type_info* type = abi::__cxa_current_exception_type();
        told.type = type == nullptr ? "unknown" : boost::core::demangle(type->name());
        try {
            throw;
        } catch (const std::system_error& error) {
            told.code = error.code().value();
            told.generic = error.code().category() == std::generic_category();
            own_category = !told.generic && error.code().category() != std::system_category();
            told.text = error.what();
        } catch (const std::exception& error) {
            told.text = error.what();
        } catch (...) {
        }
        if (type != nullptr && !own_category)
            told.known = Known::place_of(*type);
        if (const auto* const known =
                type == nullptr ? nullptr : find_registered([&](const std::type_info& each) {
                    return each == *type;
                })) {
            told.mangled = type->name();
            try {
                known->write(told.bytes);
                told.registered = true;
            } catch (...) {
                told.bytes.clear(); // its serialize() threw: then without it
            }
        }
        bytes.clear();
        ByteWriter writer(bytes);
        writer(told);
    } catch (...) {
        bytes.clear(); // no memory, not even for that: the reader finds nothing, and says so
    }
}

std::exception_ptr read_error(std::span<const std::byte> bytes) {
    try {
        if (bytes.empty())
            throw RemoteError("unknown", "no memory was left to say what was thrown",
                              "a worker of a pool", 0);
        Told told;
        ByteReader reader(bytes);
        reader(told);
        try {
            throw RemoteError(told.type, told.text, told.process, told.pid);
        } catch (const RemoteError&) {
            if (const auto* const known =
                    !told.registered ? nullptr : find_registered([&](const std::type_info& each) {
                        return told.mangled == each.name();
                    }))
                known->rethrow(told.bytes);
            Known::throw_it(told);
            throw;
        }
    } catch (...) {
        return std::current_exception();
    }
}

} // namespace multifork::detail
