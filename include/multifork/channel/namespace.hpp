#pragma once

#include <multifork/channel/dict_store.hpp>
#include <multifork/channel/named_container.hpp>
#include <multifork/channel/stored.hpp>
#include <multifork/format.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <variant>
#include <vector>

namespace multifork {

namespace detail {

/// What an attribute is. Its bytes in shared memory begin with this.
/// `natural` is a whole number that is too large for `integer`.
enum class AttributeType : std::uint8_t {
    nothing,
    truth,
    integer,
    natural,
    real,
    text,
    bytes,
    other
};

/// A number; characters are none.
template <class T>
concept Integer = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> &&
                  !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> &&
                  !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;

template <class T>
concept TextLike = std::convertible_to<const T&, std::string_view>;

/// A type of which an attribute can be set.
template <class T>
concept AttributeValue = TextLike<T> || Crossable<T>;
/// A type as which an attribute can be read.
template <class T>
concept AttributeResult = Crossable<T>;

template <class T>
[[nodiscard]] consteval AttributeType attribute_type() {
    if constexpr (std::is_same_v<T, bool>)
        return AttributeType::truth;
    else if constexpr (std::is_same_v<T, std::monostate>)
        return AttributeType::nothing;
    else if constexpr (Integer<T>)
        return AttributeType::integer;
    else if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>)
        return AttributeType::real;
    else if constexpr (TextLike<T>)
        return AttributeType::text;
    else if constexpr (std::is_same_v<T, std::vector<std::byte>>)
        return AttributeType::bytes;
    else
        return AttributeType::other;
}

/// Appends the type and the value of an attribute.
template <AttributeValue T>
void encode_attribute(const T& value, std::vector<std::byte>& bytes) {
    constexpr AttributeType type = attribute_type<T>();
    if constexpr (type == AttributeType::integer)
        bytes.push_back(static_cast<std::byte>(
            std::in_range<std::int64_t>(value) ? AttributeType::integer : AttributeType::natural));
    else
        bytes.push_back(static_cast<std::byte>(type));
    if constexpr (type == AttributeType::truth)
        bytes.push_back(static_cast<std::byte>(value ? 1 : 0));
    else if constexpr (type == AttributeType::integer)
        encode(static_cast<std::uint64_t>(value), bytes);
    else if constexpr (type == AttributeType::real)
        encode(static_cast<double>(value), bytes);
    else if constexpr (type == AttributeType::text || type == AttributeType::bytes) {
        const auto all = [&] {
            if constexpr (type == AttributeType::text) {
                const std::string_view text = value;
                return std::as_bytes(std::span(text));
            } else {
                return std::span<const std::byte>(value);
            }
        }();
        bytes.insert(bytes.end(), all.begin(), all.end());
    } else if constexpr (type == AttributeType::other) {
        encode(std::string(typeid(T).name()), bytes);
        write_crossing(value, bytes);
    }
}

/// The bytes of an attribute behind its type, and for `other` behind that type's name.
/// \throws TypeMismatch when it is of another type, CorruptSharedMemory
[[nodiscard]] MULTIFORK_API std::span<const std::byte>
attribute_bytes(std::span<const std::byte> bytes, AttributeType type, const char* type_name,
                std::string_view name);
/// What is in a whole number's bytes, and whether to take it as signed.
struct AttributeNumber {
    std::uint64_t bits;
    bool is_signed;
};
[[nodiscard]] MULTIFORK_API AttributeNumber attribute_number(std::span<const std::byte> bytes,
                                                             const char* type_name,
                                                             std::string_view name);
[[noreturn]] MULTIFORK_API void throw_out_of_range(std::string_view name, const char* type_name);

template <AttributeResult T>
[[nodiscard]] T decode_attribute(std::span<const std::byte> all, std::string_view name) {
    constexpr AttributeType type = attribute_type<T>();
    if constexpr (type == AttributeType::integer) {
        const auto [bits, is_signed] = attribute_number(all, typeid(T).name(), name);
        if (is_signed ? !std::in_range<T>(static_cast<std::int64_t>(bits))
                      : !std::in_range<T>(bits))
            throw_out_of_range(name, typeid(T).name());
        return static_cast<T>(bits);
    } else {
        const auto bytes = attribute_bytes(all, type, typeid(T).name(), name);
        if constexpr (type == AttributeType::nothing)
            return T{};
        else if constexpr (type == AttributeType::real)
            return static_cast<T>(decode<double>(bytes));
        else if constexpr (type == AttributeType::text)
            return T(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        else if constexpr (type == AttributeType::bytes)
            return T(bytes.begin(), bytes.end());
        else if constexpr (type == AttributeType::truth)
            return !bytes.empty() && bytes.front() != std::byte{0};
        else
            return read_crossing<T>(bytes);
    }
}

} // namespace detail

/// Attributes with names, of any types, that all processes share, as Python's
/// Manager().Namespace(), without a server process.
///
/// \code
///   mp::Namespace shared;
///   shared.set("name", "Bob");
///   shared.set("x", 0);
///   shared.fetch_add("x", 1);
///   shared.get<int>("x");                 // 1
///   shared.get<double>("x");              // throws TypeMismatch
///   fmt::print("{}", shared);             // Namespace(name='Bob', x=1)
/// \endcode
///
/// An attribute is nothing, a truth value, a whole number, a real number, text, bytes, or any type
/// that the codec knows; it is read as what it was set as. Whole numbers are one type, and checked
/// for their range. Setting may change the type.
///
/// A Namespace is a handle: copies, and what a forked child inherits, mean the same one.
///
/// \threads   distinct and shared objects are safe
/// \processes safe
/// \fork      the child inherits the handle
/// \crash     as Dict
/// \blocks    as Dict
/// \cost      a lock pair, a search, and to set an attribute an allocation
class MULTIFORK_API Namespace : public NamedContainer<Namespace> {
public:
    using multifork_describable = void;

    /// \throws OutOfSharedMemory
    Namespace();

    /// Adds the attribute, or replaces it. \throws OutOfSharedMemory, and what T's serialize()
    /// throws
    template <detail::AttributeValue T>
    void set(std::string_view name, const T& value) const {
        detail::Incoming made = incoming(value);
        const detail::Container::Guard hold(store_);
        store_.set(key(name), made);
    }
    /// The attribute as a T. \throws KeyNotFound, TypeMismatch
    template <detail::AttributeResult T>
    [[nodiscard]] T get(std::string_view name) const {
        const detail::Container::Guard hold(store_);
        return read<T>(name, entry(name));
    }
    /// The same, or `otherwise` when there is none. \throws TypeMismatch
    template <detail::AttributeResult T>
    [[nodiscard]] T get(std::string_view name, const T& otherwise) const {
        const detail::Container::Guard hold(store_);
        const auto found = store_.find(key(name));
        return found ? read<T>(name, *found) : otherwise;
    }
    /// Adds the attribute if there is none of that name. \return the one that is there then
    /// \throws TypeMismatch, OutOfSharedMemory, and what T's serialize() throws
    template <detail::AttributeResult T>
    T setdefault(std::string_view name, const T& value = T{}) const {
        detail::Incoming made = incoming(value);
        const detail::Container::Guard hold(store_);
        if (const auto found = store_.find(key(name)))
            return read<T>(name, *found);
        store_.insert(key(name), made);
        return value;
    }
    /// Adds to the attribute; one that is not there counts as T{}. \return the value before
    /// \throws TypeMismatch, OutOfSharedMemory
    template <detail::AttributeResult T>
        requires requires(T a, const T& b) {
            a += b;
        }
    T fetch_add(std::string_view name, const T& amount) const {
        return fetch_update<T>(
            name, [&](T& value) { value += amount; }, T{});
    }
    /// Changes the attribute in one step: `f(T&)` changes a copy, or `f(const T&)` returns the new
    /// value.
    /// \param initial  what f gets when there is no such attribute
    /// \return the value before, or `initial`
    /// \throws KeyNotFound without `initial`, TypeMismatch, OutOfSharedMemory, WouldDeadlock when f
    ///         uses the Namespace, and what f throws; then nothing has changed
    template <detail::AttributeResult T, class F>
        requires detail::Change<F, T> T fetch_update(std::string_view name, F&& f,
                                                     const std::optional<T>& initial = std::nullopt)
    const {
        const detail::Container::Guard hold(store_);
        const auto place = initial ? store_.find(key(name)) : entry(name);
        T before = place ? read<T>(name, *place) : *initial;
        detail::Incoming made = incoming(detail::changed(before, f));
        hold.check_after_call();
        if (place)
            store_.replace(*place, made);
        else
            store_.insert(key(name), made);
        return before;
    }
    [[nodiscard]] bool contains(std::string_view name) const;
    /// Takes the attribute out. \return false when there was none
    bool erase(std::string_view name) const;
    void clear() const;
    /// The names of all attributes, in the order in which they were added.
    [[nodiscard]] std::vector<std::string> names() const;

    [[nodiscard]] std::uint64_t repairs() const noexcept { return store_.repairs(); }
    /// `Namespace(name='Bob', x=1)`: without names that begin with '_'
    [[nodiscard]] std::string to_string() const;

    /// \internal How the handle gets into another process (channel/crossing.hpp).
    /// @{
    static constexpr arena::Kind crossing_kind = arena::Kind::dict;
    [[nodiscard]] arena::Crossing crossing() const { return store_.crossing(); }
    static Namespace arrive(const arena::Crossing& crossing) {
        return Namespace(detail::Container::arrived(crossing));
    }
    /// @}

private:
    friend NamedContainer<Namespace>;

    explicit Namespace(arena::Object object);
    static detail::ContainerIdentity identity() noexcept {
        return {arena::Kind::dict, "namespace", "Namespace"};
    }

    [[nodiscard]] static detail::KeyBytes key(std::string_view name) noexcept {
        return {std::as_bytes(std::span(name)), 0};
    }
    /// \throws KeyNotFound
    [[nodiscard]] std::size_t entry(std::string_view name) const;

    template <class T>
    [[nodiscard]] detail::Incoming incoming(const T& value) const {
        detail::Travellers travellers;
        MessageBuffer buffer;
        detail::encode_attribute(value, buffer.bytes());
        return {store_.space(), buffer.message(), travellers};
    }
    template <class T>
    [[nodiscard]] T read(std::string_view name, std::size_t place) const {
        return detail::decode_attribute<T>(store_.bytes_at(store_.value_at(place)), name);
    }

    mutable detail::DictStore store_; // const means the handle, not what it is of
};

} // namespace multifork
