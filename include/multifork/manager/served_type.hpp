#pragma once

#include <multifork/channel/codec.hpp>
#include <multifork/error.hpp>
#include <multifork/platform/export.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

/// \file
/// What a Manager's server can do with an object: calls by name, with arguments and results as
/// bytes. The types of both travel with a call, so that no side takes an int for a float.

namespace multifork {

namespace detail {

using Bytes = std::vector<std::byte>;

/// The type as which a T arrives: without references; text as std::string; a range (a view, a
/// generator) as the vector of its elements.
template <class T>
struct CarriedAs {
    using type = T;
};
template <class T>
    requires(!Codable<T> && std::convertible_to<T, std::string_view>)
struct CarriedAs<T> {
    using type = std::string;
};
template <class T>
    requires(!std::convertible_to<T, std::string_view> && std::ranges::input_range<T> &&
             (std::ranges::view<T> || !Codable<T>)) // a view may hold an address that nobody sees
struct CarriedAs<T> {
    using type = std::vector<std::ranges::range_value_t<T>>;
};
template <class T>
using Carried = typename CarriedAs<std::decay_t<T>>::type;

/// `i(i,St6vectorIdE,)`: the result and the arguments, as the compiler names them.
template <class Result, class... Args>
[[nodiscard]] std::string signature_of() {
    std::string text = typeid(Result).name();
    text += '(';
    ((text += typeid(Args).name(), text += ','), ...);
    return text + ')';
}

/// The value as the type as which it travels.
template <class T>
[[nodiscard]] decltype(auto) carry(T&& value) {
    using C = Carried<T>;
    if constexpr (std::same_as<C, std::decay_t<T>>) {
        return static_cast<const C&>(value);
    } else if constexpr (std::same_as<C, std::string>) {
        return std::string(std::string_view(value));
    } else {
        C elements;
        for (auto&& element : value)
            elements.push_back(static_cast<decltype(element)&&>(element));
        return elements;
    }
}

template <class T>
void encode_argument(Bytes& bytes, const T& value) {
    static_assert(Codable<T>, "a call takes what the codec knows: what is trivially copyable "
                              "without addresses, strings, containers and structs of these");
    encode(value, bytes);
}

/// One behind the other.
template <class... Args>
[[nodiscard]] Bytes encode_arguments(const Args&... args) {
    Bytes bytes;
    (encode_argument(bytes, carry(args)), ...);
    return bytes;
}

template <class T>
void decode_argument(ByteReader& reader, T& value) {
    if constexpr (Shareable<T>)
        reader.loadBinary(&value, sizeof value);
    else
        reader(value);
}

template <class... Args>
[[nodiscard]] std::tuple<Args...> decode_arguments(std::span<const std::byte> bytes) {
    std::tuple<Args...> args;
    ByteReader reader(bytes);
    try {
        std::apply([&](Args&... each) { (decode_argument(reader, each), ...); }, args);
    } catch (const cereal::Exception& error) {
        throw CorruptSharedMemory(std::string("the arguments cannot be read: ") + error.what());
    }
    return args;
}

template <class Result>
void encode_result(Bytes& bytes, Result&& result) {
    using C = Carried<Result>;
    static_assert(Codable<C>, "a member that is exposed must return what the codec knows, a range "
                              "of that, or nothing");
    encode<C>(carry(std::forward<Result>(result)), bytes);
}

struct ServedMethod {
    std::string signature;
    std::function<void(void* object, std::span<const std::byte> arguments, Bytes& result)> call;
};

struct ServedType {
    std::string signature; ///< of what makes one
    std::function<std::shared_ptr<void>(std::span<const std::byte> arguments)> make;
    std::map<std::string, ServedMethod, std::less<>> methods;
    bool concurrent = false;
};
using ServedTypes = std::map<std::string, ServedType, std::less<>>;

/// What a callable takes and returns.
template <class F>
struct SignatureOf : SignatureOf<decltype(&F::operator())> {};
template <class R, class C, class... A>
struct SignatureOf<R (C::*)(A...)> {
    using Result = R;
    using Arguments = std::tuple<A...>;
};
template <class R, class C, class... A>
struct SignatureOf<R (C::*)(A...) const> : SignatureOf<R (C::*)(A...)> {};
template <class R, class C, class... A>
struct SignatureOf<R (C::*)(A...) noexcept> : SignatureOf<R (C::*)(A...)> {};
template <class R, class C, class... A>
struct SignatureOf<R (C::*)(A...) const noexcept> : SignatureOf<R (C::*)(A...)> {};
template <class R, class... A>
struct SignatureOf<R (*)(A...)> {
    using Result = R;
    using Arguments = std::tuple<A...>;
};
template <class R, class... A>
struct SignatureOf<R (*)(A...) noexcept> : SignatureOf<R (*)(A...)> {};

/// How one T is made, by a function that returns a T, or a pointer that shares one.
template <class T, class F, class... A>
void make_with(ServedType& type, F factory, const std::tuple<A...>*) {
    static_assert((Codable<Carried<A>> && ...), "what makes an object takes what the codec knows");
    type.signature = signature_of<void, Carried<A>...>();
    type.make = [factory = std::move(factory)](std::span<const std::byte> bytes) {
        auto args = decode_arguments<Carried<A>...>(bytes);
        return std::apply(
            [&](auto&... each) -> std::shared_ptr<void> {
                using Made = std::invoke_result_t<const F&, A...>;
                if constexpr (std::convertible_to<Made, std::shared_ptr<T>>)
                    return std::shared_ptr<T>(factory(static_cast<A&&>(each)...));
                else // also what cannot be moved
                    return std::shared_ptr<T>(new T(factory(static_cast<A&&>(each)...)));
            },
            args);
    };
}

} // namespace detail

/// Says what a Manager's server exposes of a T; see Manager::register_type().
template <class T>
class Served {
public:
    /// Exposes a member function.
    template <class R, class C, class... A>
    requires std::derived_from<T, C> Served& method(std::string name, R (C::*member)(A...)) {
        return add<R, A...>(std::move(name), [member](T& object, auto&&... args) -> R {
            return (object.*member)(std::forward<decltype(args)>(args)...);
        });
    }
    template <class R, class C, class... A>
    requires std::derived_from<T, C> Served& method(std::string name, R (C::*member)(A...) const) {
        return add<R, A...>(std::move(name), [member](const T& object, auto&&... args) -> R {
            return (object.*member)(std::forward<decltype(args)>(args)...);
        });
    }
    template <class R, class C, class... A>
    requires std::derived_from<T, C> Served& method(std::string name,
                                                    R (C::*member)(A...) noexcept) {
        return method(std::move(name), static_cast<R (C::*)(A...)>(member));
    }
    template <class R, class C, class... A>
    requires std::derived_from<T, C> Served& method(std::string name,
                                                    R (C::*member)(A...) const noexcept) {
        return method(std::move(name), static_cast<R (C::*)(A...) const>(member));
    }
    /// Exposes a function of the object and more: `[](Counter& c, int n) { ... }`.
    template <class F>
    Served& method(std::string name, F function) {
        using Signature = detail::SignatureOf<F>;
        return split<typename Signature::Result>(
            std::move(name), std::move(function),
            static_cast<const typename Signature::Arguments*>(nullptr));
    }
    /// Lets several calls of one object run at once. Otherwise each waits for the one before it;
    /// say this for types that are safe between threads, above all if a call may wait for another.
    Served& concurrent() {
        type_->concurrent = true;
        return *this;
    }

    /// \internal
    explicit Served(detail::ServedType& type) noexcept : type_(&type) {}

private:
    template <class R, class F, class Object, class... A>
    Served& split(std::string name, F function, const std::tuple<Object, A...>*) {
        return add<R, A...>(std::move(name), std::move(function));
    }
    template <class R, class... A, class F>
    Served& add(std::string name, F function) {
        static_assert((Codable<detail::Carried<A>> && ...),
                      "a member that is exposed must take what the codec knows");
        detail::ServedMethod method;
        method.signature = detail::signature_of<detail::Carried<R>, detail::Carried<A>...>();
        method.call = [function = std::move(function)](
                          void* object, std::span<const std::byte> bytes, detail::Bytes& result) {
            auto args = detail::decode_arguments<detail::Carried<A>...>(bytes);
            std::apply(
                [&](auto&... each) {
                    // An argument by reference is one to the copy that came.
                    const auto call = [&]() -> R {
                        return function(*static_cast<T*>(object), static_cast<A&&>(each)...);
                    };
                    if constexpr (std::is_void_v<R>)
                        call();
                    else
                        detail::encode_result(result, call());
                },
                args);
        };
        if (!type_->methods.emplace(name, std::move(method)).second)
            throw InvalidArgument("'" + name + "' is exposed twice; give each a name of its own");
        return *this;
    }

    detail::ServedType* type_;
};

} // namespace multifork
