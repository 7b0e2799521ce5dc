#pragma once

#include <multifork/arena/crossing.hpp>
#include <multifork/channel/codec.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

/// \file
/// What can cross into a process that did not inherit it, as an argument of a spawned process or in
/// a message: everything that the codec knows, handles on shared objects (Lock, Value, Queue, ...),
/// and the usual containers of both.

namespace multifork {

/// A handle on a shared object: its copy in another process means the same object.
template <class T>
concept Handle = requires(const T& handle, const arena::Crossing& crossing) {
    { handle.crossing() } -> std::same_as<arena::Crossing>;
    { T::arrive(crossing) } -> std::same_as<T>;
    { T::crossing_kind } -> std::convertible_to<arena::Kind>;
};

namespace detail {

/// Whether the codec knows a T and all that is in it. Codable looks at the outside alone: a vector
/// is one, whatever its elements are.
template <class T>
inline constexpr bool codable_throughout = Codable<T>;
// clang-format off
template <class... Ts> inline constexpr bool all_codable_throughout = (codable_throughout<std::remove_cv_t<Ts>> && ...);
template <class T, class A> inline constexpr bool codable_throughout<std::vector<T, A>> = all_codable_throughout<T>;
template <class T, class A> inline constexpr bool codable_throughout<std::deque<T, A>> = all_codable_throughout<T>;
template <class T, class A> inline constexpr bool codable_throughout<std::list<T, A>> = all_codable_throughout<T>;
template <class T, std::size_t N> inline constexpr bool codable_throughout<std::array<T, N>> = all_codable_throughout<T> && std::default_initializable<T>;
template <class T, class... O> inline constexpr bool codable_throughout<std::set<T, O...>> = all_codable_throughout<T>;
template <class T, class... O> inline constexpr bool codable_throughout<std::multiset<T, O...>> = all_codable_throughout<T>;
template <class T, class... O> inline constexpr bool codable_throughout<std::unordered_set<T, O...>> = all_codable_throughout<T>;
template <class T, class... O> inline constexpr bool codable_throughout<std::unordered_multiset<T, O...>> = all_codable_throughout<T>;
template <class K, class V, class... O> inline constexpr bool codable_throughout<std::map<K, V, O...>> = all_codable_throughout<K, V>;
template <class K, class V, class... O> inline constexpr bool codable_throughout<std::multimap<K, V, O...>> = all_codable_throughout<K, V>;
template <class K, class V, class... O> inline constexpr bool codable_throughout<std::unordered_map<K, V, O...>> = all_codable_throughout<K, V>;
template <class K, class V, class... O> inline constexpr bool codable_throughout<std::unordered_multimap<K, V, O...>> = all_codable_throughout<K, V>;
template <class T> inline constexpr bool codable_throughout<std::optional<T>> = all_codable_throughout<T>;
template <class... Ts> inline constexpr bool codable_throughout<std::pair<Ts...>> = all_codable_throughout<Ts...>;
template <class... Ts> inline constexpr bool codable_throughout<std::tuple<Ts...>> = all_codable_throughout<Ts...>;
template <class... Ts> inline constexpr bool codable_throughout<std::variant<Ts...>> = all_codable_throughout<Ts...>;
template <class T> inline constexpr bool codable_throughout<std::unique_ptr<T>> = all_codable_throughout<T> && !std::is_polymorphic_v<T>;
template <class T> inline constexpr bool codable_throughout<std::shared_ptr<T>> = all_codable_throughout<T> && !std::is_polymorphic_v<T>;
// clang-format on
template <class T, std::size_t... I>
consteval bool fields_codable_throughout(std::index_sequence<I...>) {
    return all_codable_throughout<boost::pfr::tuple_element_t<I, T>...>;
}
template <class T>
    requires(!Shareable<T> && Codable<T> && PlainAggregate<T>)
inline constexpr bool codable_throughout<T> =
    fields_codable_throughout<T>(std::make_index_sequence<boost::pfr::tuple_size_v<T>>{});

/// How a T crosses, if it does. `known` says whether; a T that is not listed crosses by the codec.
template <class T>
struct Cross {
    static constexpr bool known = codable_throughout<T>;
    static constexpr bool brings_handles = false;
    static void write(ByteWriter& writer, [[maybe_unused]] const T& value) {
        if constexpr (std::is_empty_v<T> && Shareable<T>)
            writer(std::uint8_t{0}); // its one byte has no value
        else if constexpr (Shareable<T>)
            writer.saveBinary(&value, sizeof value);
        else
            writer(value);
    }
    static T read(ByteReader& reader) { return read_codable<T>(reader); }
};

template <Handle T>
struct Cross<T> {
    static constexpr bool known = true;
    static constexpr bool brings_handles = true;
    static void write(ByteWriter& writer, const T& handle) {
        const arena::Crossing crossing = handle.crossing();
        const arena::ObjectAddress address = arena::address_of(crossing.object);
        writer(address.offset, address.serial, address.bytes, address.kind, address.name,
               crossing.words[0], crossing.words[1]);
    }
    static T read(ByteReader& reader) {
        arena::ObjectAddress address;
        arena::Crossing crossing;
        reader(address.offset, address.serial, address.bytes, address.kind, address.name,
               crossing.words[0], crossing.words[1]);
        crossing.object = arena::object_at(address, T::crossing_kind);
        return T::arrive(crossing);
    }
};

template <class... Ts>
inline constexpr bool any_handles = (Cross<Ts>::brings_handles || ...);
template <class... Ts>
inline constexpr bool all_known = (Cross<Ts>::known && ...);

/// Elements of a container are written one by one if they bring handles; the codec does the others.
template <class C, class T>
struct CrossSequence {
    static constexpr bool known = Cross<T>::known;
    static constexpr bool brings_handles = true;
    static void write(ByteWriter& writer, const C& values) {
        writer(static_cast<std::uint64_t>(values.size()));
        for (const T& value : values)
            Cross<T>::write(writer, value);
    }
    static C read(ByteReader& reader) {
        std::uint64_t count = 0;
        reader(count);
        C values;
        while (count-- > 0)
            values.insert(values.end(), Cross<T>::read(reader));
        return values;
    }
};
// clang-format off
template <class T, class A> requires any_handles<T>
struct Cross<std::vector<T, A>> : CrossSequence<std::vector<T, A>, T> {};
template <class K, class V, class L, class A> requires any_handles<V>
struct Cross<std::map<K, V, L, A>> : CrossSequence<std::map<K, V, L, A>, std::pair<const K, V>> {};
// clang-format on

template <class C, class... Ts>
struct CrossTuple {
    static constexpr bool known = all_known<std::remove_const_t<Ts>...>;
    static constexpr bool brings_handles = true;
    static void write(ByteWriter& writer, const C& values) {
        std::apply(
            [&](const auto&... value) {
                (Cross<std::remove_cvref_t<decltype(value)>>::write(writer, value), ...);
            },
            values);
    }
    static C read(ByteReader& reader) {
        return C{Cross<std::remove_const_t<Ts>>::read(reader)...}; // braces: in this order
    }
};
// clang-format off
template <class... Ts> requires any_handles<std::remove_const_t<Ts>...>
struct Cross<std::tuple<Ts...>> : CrossTuple<std::tuple<Ts...>, Ts...> {};
template <class K, class V> requires any_handles<std::remove_const_t<K>, V>
struct Cross<std::pair<K, V>> : CrossTuple<std::pair<K, V>, K, V> {};
// clang-format on

template <class T, std::size_t... I>
consteval bool members_bring_handles(std::index_sequence<I...>) {
    return any_handles<std::remove_cv_t<boost::pfr::tuple_element_t<I, T>>...>;
}
template <class T>
concept AggregateWithHandles =
    !Shareable<T> && PlainAggregate<T> &&
    members_bring_handles<T>(std::make_index_sequence<boost::pfr::tuple_size_v<T>>{});

/// A plain struct, say a question with the queue for its answer: as a tuple of its members.
template <AggregateWithHandles T>
struct Cross<T> {
    static constexpr bool known = []<std::size_t... I>(std::index_sequence<I...>) {
        return all_known<std::remove_cv_t<boost::pfr::tuple_element_t<I, T>>...>;
    }
    (std::make_index_sequence<boost::pfr::tuple_size_v<T>>{});
    static constexpr bool brings_handles = true;
    static void write(ByteWriter& writer, const T& value) {
        boost::pfr::for_each_field(value, [&]<class M>(const M& member) {
            Cross<std::remove_cv_t<M>>::write(writer, member);
        });
    }
    static T read(ByteReader& reader) {
        return [&]<std::size_t... I>(std::index_sequence<I...>) {
            return T{Cross<std::remove_cv_t<boost::pfr::tuple_element_t<I, T>>>::read(reader)...};
        }
        (std::make_index_sequence<boost::pfr::tuple_size_v<T>>{});
    }
};

template <class T>
    requires any_handles<T>
struct Cross<std::optional<T>> {
    static constexpr bool known = Cross<T>::known;
    static constexpr bool brings_handles = true;
    static void write(ByteWriter& writer, const std::optional<T>& value) {
        writer(value.has_value());
        if (value)
            Cross<T>::write(writer, *value);
    }
    static std::optional<T> read(ByteReader& reader) {
        bool there = false;
        reader(there);
        if (!there)
            return std::nullopt;
        return Cross<T>::read(reader);
    }
};

template <class... Ts>
    requires any_handles<Ts...>
struct Cross<std::variant<Ts...>> {
    static constexpr bool known = all_known<Ts...>;
    static constexpr bool brings_handles = true;
    static void write(ByteWriter& writer, const std::variant<Ts...>& value) {
        writer(static_cast<std::uint32_t>(value.index()));
        std::visit(
            [&](const auto& held) {
                Cross<std::remove_cvref_t<decltype(held)>>::write(writer, held);
            },
            value);
    }
    static std::variant<Ts...> read(ByteReader& reader) {
        std::uint32_t index = 0;
        reader(index);
        std::optional<std::variant<Ts...>> value;
        read_at(reader, index, value, std::index_sequence_for<Ts...>{});
        if (!value)
            throw CorruptSharedMemory("a message has an alternative that its type does not know");
        return std::move(*value);
    }

private:
    template <std::size_t... I>
    static void read_at(ByteReader& reader, std::size_t index,
                        std::optional<std::variant<Ts...>>& value, std::index_sequence<I...>) {
        static_cast<void>(
            ((I == index &&
              (value.emplace(std::in_place_index<I>, Cross<Ts>::read(reader)), true)) ||
             ...));
    }
};

using AnyFunction = void (*)();

/// Where a function is, in words that hold in every process of this program.
/// \throws NotShareable when it lies in no loaded module
MULTIFORK_API void write_function(ByteWriter& writer, AnyFunction function);
/// \throws LayoutMismatch when this process runs another program
[[nodiscard]] MULTIFORK_API AnyFunction read_function(ByteReader& reader);

/// Where a function of the program itself is.
struct ProgramFunction {
    std::uint64_t offset = 0;
    std::uint64_t fingerprint = 0;
};
/// \return nothing when it lies in a library
[[nodiscard]] MULTIFORK_API std::optional<ProgramFunction> find_in_program(AnyFunction function);
/// \throws LayoutMismatch as read_function()
[[nodiscard]] MULTIFORK_API AnyFunction function_of_program(const ProgramFunction& place);

// clang-format off
template <class F> struct CrossFunction {
    static constexpr bool known = true;
    static constexpr bool brings_handles = true; // not by their bytes, in a container too
    static void write(ByteWriter& writer, F function) { write_function(writer, reinterpret_cast<AnyFunction>(function)); }
    static F read(ByteReader& reader) { return reinterpret_cast<F>(read_function(reader)); }
};
template <class R, class... A> struct Cross<R (*)(A...)> : CrossFunction<R (*)(A...)> {};
template <class R, class... A> struct Cross<R (*)(A...) noexcept> : CrossFunction<R (*)(A...) noexcept> {};
// clang-format on

} // namespace detail

/// A type that can go to another process of the tree in bytes. Where the compiler leads you here, T
/// holds something that cannot: docs/what-can-travel.md says what can, and how to write
/// serialize().
template <class T>
concept Crossable = detail::Cross<std::remove_cv_t<T>>::known; // see docs/what-can-travel.md

/// Appends the bytes of `value`. What the handles in it lead to is noted in the thread's
/// arena::Cargo. \throws NotShareable, and what its copy or its serialize() throws
template <Crossable T>
void write_crossing(const T& value, std::vector<std::byte>& bytes) {
    if constexpr (detail::Cross<T>::brings_handles) {
        ByteWriter writer(bytes);
        detail::Cross<T>::write(writer, value);
        writer.finish();
    } else {
        encode(value, bytes);
    }
}

/// The T that write_crossing() turned into `bytes`.
/// \throws CorruptSharedMemory when they are none; NotFound when an object that a handle in it
/// means is gone
template <Crossable T>
[[nodiscard]] T read_crossing(std::span<const std::byte> bytes) {
    if constexpr (detail::Cross<T>::brings_handles) {
        return detail::readable([&] {
            ByteReader reader(bytes);
            return detail::Cross<T>::read(reader);
        });
    } else {
        return decode<T>(bytes);
    }
}

} // namespace multifork
