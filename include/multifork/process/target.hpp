#pragma once

#include <multifork/channel/crossing.hpp>
#include <multifork/channel/span.hpp>
#include <multifork/platform/export.hpp>
#include <multifork/platform/padding.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

/// \file
/// What a process runs: a function and its arguments, and how both get into a process that has
/// nothing of this one's memory.

namespace multifork {
namespace detail {

/// \throws NotShareable when one of the words is an address in this process: a closure may have
/// captured a reference or a pointer, and the compiler cannot be asked
MULTIFORK_API void refuse_addresses(std::span<const std::byte> bytes, const std::type_info& type);
template <class T>
void refuse_addresses(const T& value) {
    constexpr bool large = sizeof(T) > 1 << 16; // too large for the stack, maybe
    if constexpr (large || !std::is_copy_constructible_v<T>)
        refuse_addresses(std::as_bytes(std::span<const T, 1>(&value, 1)), typeid(T));
    else
        refuse_addresses(BytesWithoutPadding<T>(value).bytes, typeid(T));
}
[[noreturn]] MULTIFORK_API void throw_cannot_cross(const std::type_info& type);

template <class T>
void pack(ByteWriter& writer, const T& value) {
    if constexpr (!Crossable<T>) {
        throw_cannot_cross(typeid(T));
    } else {
        // What crosses piece by piece may well have a function's address among its bytes.
        if constexpr (Shareable<T> && std::is_class_v<T> && !std::is_empty_v<T> &&
                      !Cross<T>::brings_handles)
            refuse_addresses(value);
        Cross<T>::write(writer, value);
    }
}

/// Text that was given as a `const char*`, in a process that got it: the characters up to the first
/// zero. Nothing: a null pointer.
struct ArrivedText {
    std::optional<std::string> text;
};
/// As what an argument arrives, and is kept while the target runs.
template <class T>
using Arriving = std::conditional_t<std::is_same_v<T, const char*>, ArrivedText, T>;

/// The value, as what is kept of it. \param T  Arriving, or any type that the value becomes
template <class T, class Value>
[[nodiscard]] decltype(auto) keep(Value&& value) {
    if constexpr (std::is_same_v<T, ArrivedText> &&
                  !std::is_same_v<std::remove_cvref_t<Value>, ArrivedText>) {
        const char* const text = value;
        return text == nullptr ? ArrivedText{} : ArrivedText{text};
    } else {
        return std::forward<Value>(value);
    }
}
template <class T>
void pack_argument(ByteWriter& writer, const T& value) {
    pack(writer, keep<Arriving<T>>(value));
}
/// What the target is called with.
template <class T>
[[nodiscard]] T&& pass(T& argument) noexcept {
    return std::move(argument);
}
[[nodiscard]] inline const char* pass(ArrivedText& argument) noexcept {
    return argument.text ? argument.text->c_str() : nullptr;
}
/// The same for one that is called again: what was kept stays.
template <class T>
[[nodiscard]] T& lend(T& argument) noexcept {
    return argument;
}
[[nodiscard]] inline const char* lend(ArrivedText& argument) noexcept {
    return pass(argument);
}

/// A target with its arguments.
class Callable {
public:
    Callable() = default;
    virtual ~Callable() = default;
    Callable(const Callable&) = delete;
    Callable& operator=(const Callable&) = delete;
    virtual void operator()() = 0;
    /// Writes down what read_callable() makes it from in another process.
    /// \throws NotShareable, and what serialize() of an argument throws
    virtual void write(ByteWriter& writer) const = 0;
};
using Revive = std::unique_ptr<Callable> (*)(ByteReader&);

/// \throws CorruptSharedMemory, LayoutMismatch, NotFound
[[nodiscard]] MULTIFORK_API std::unique_ptr<Callable> read_callable(ByteReader& reader);

template <class F, class... Args>
class Call final : public Callable {
public:
    template <class G, class... As>
    explicit Call(std::in_place_t, G&& f, As&&... args)
        : f_(std::forward<G>(f)), args_(std::forward<As>(args)...) {}

    void operator()() override {
        std::apply([this](Args&... args) { std::invoke(std::move(f_), detail::pass(args)...); },
                   args_);
    }
    void write(ByteWriter& writer) const override {
        if constexpr (Crossable<F> && (Crossable<Arriving<Args>> && ...))
            write_function(writer, reinterpret_cast<AnyFunction>(&revive));
        pack(writer, f_); // if there is no revive(), one of these throws, and names the type
        std::apply([&](const Args&... args) { (pack_argument(writer, args), ...); }, args_);
    }

private:
    static std::unique_ptr<Callable> revive(ByteReader& reader) {
        F f = Cross<F>::read(reader);
        std::tuple<Arriving<Args>...> args{Cross<Arriving<Args>>::read(reader)...}; // in this order
        return std::apply(
            [&](Arriving<Args>&... each) {
                return std::make_unique<Call<F, Arriving<Args>...>>(std::in_place, std::move(f),
                                                                    std::move(each)...);
            },
            args);
    }
    F f_;
    std::tuple<Args...> args_;
};

template <class T>
inline constexpr bool crosses = Crossable<Arriving<std::decay_t<T>>>;

} // namespace detail
} // namespace multifork
