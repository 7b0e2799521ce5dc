#include <multifork/channel/namespace.hpp>
#include <multifork/error.hpp>

#include <fmt/format.h>

#include <cstring>
#include <iterator>

namespace multifork {
namespace detail {
namespace {

constexpr const char* names_of_types[] = {"nothing",        "a truth value",       "a whole number",
                                          "a whole number", "a real number",       "text",
                                          "bytes",          "of a type of its own"};

AttributeType type_of(std::span<const std::byte> bytes, std::string_view name) {
    if (bytes.empty() || bytes.front() > static_cast<std::byte>(AttributeType::other))
        throw CorruptSharedMemory(fmt::format(
            "the attribute '{}' has no type that there is: its memory was overwritten; set it "
            "anew, and look for a process that writes where it should not",
            name));
    return static_cast<AttributeType>(bytes.front());
}

[[noreturn]] void throw_mismatch(AttributeType found, std::string_view of, const char* type_name,
                                 std::string_view name) {
    throw TypeMismatch(fmt::format(
        "the attribute '{}' is {}{}{}, not a '{}'; read it as what it was set as", name,
        names_of_types[static_cast<std::size_t>(found)], of.empty() ? "" : ": ", of, type_name));
}

/// Takes the name of the type off the front of an attribute of a type of its own.
std::string take_type_name(std::span<const std::byte>& bytes) {
    ByteReader reader(bytes);
    std::string type_name;
    reader(type_name);
    bytes = bytes.last(reader.left());
    return type_name;
}

} // namespace

std::span<const std::byte> attribute_bytes(std::span<const std::byte> bytes, AttributeType type,
                                           const char* type_name, std::string_view name) {
    const AttributeType found = type_of(bytes, name);
    if (found != type)
        throw_mismatch(found, "", type_name, name);
    bytes = bytes.subspan(1);
    if (type == AttributeType::other)
        if (const std::string is = take_type_name(bytes); is != type_name)
            throw_mismatch(found, is, type_name, name);
    return bytes;
}

AttributeNumber attribute_number(std::span<const std::byte> bytes, const char* type_name,
                                 std::string_view name) {
    const AttributeType found = type_of(bytes, name);
    if (found != AttributeType::integer && found != AttributeType::natural)
        throw_mismatch(found, "", type_name, name);
    return {decode<std::uint64_t>(bytes.subspan(1)), found == AttributeType::integer};
}

void throw_out_of_range(std::string_view name, const char* type_name) {
    throw TypeMismatch(fmt::format(
        "the attribute '{}' is a whole number that a '{}' cannot hold; read it as a wider type",
        name, type_name));
}

namespace {

/// With a point, or an exponent, so that it does not look like a whole number.
std::string real_text(double value) {
    std::string text = fmt::format("{}", value);
    if (text.find_first_not_of("-0123456789") == text.npos)
        text += ".0";
    return text;
}

/// As Python would print it.
std::string describe(std::span<const std::byte> bytes, std::string_view name) {
    const AttributeType type = type_of(bytes, name);
    const auto as = [&]<class T>(std::type_identity<T>) {
        return decode_attribute<T>(bytes, name);
    };
    switch (type) {
    case AttributeType::nothing:
        return "None";
    case AttributeType::truth:
        return as(std::type_identity<bool>{}) ? "True" : "False";
    case AttributeType::integer:
        return fmt::format("{}", as(std::type_identity<std::int64_t>{}));
    case AttributeType::natural:
        return fmt::format("{}", as(std::type_identity<std::uint64_t>{}));
    case AttributeType::real:
        return real_text(as(std::type_identity<double>{}));
    case AttributeType::text:
        return fmt::format("'{}'", as(std::type_identity<std::string>{}));
    case AttributeType::bytes:
        return fmt::format("<{} bytes>", bytes.size() - 1);
    case AttributeType::other:
        break;
    }
    bytes = bytes.subspan(1);
    return fmt::format("<{}>", take_type_name(bytes));
}

} // namespace
} // namespace detail

namespace {

std::string_view text_of(std::span<const std::byte> bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

} // namespace

Namespace::Namespace(arena::Object object) : store_(std::move(object), true, true, "Namespace") {}
Namespace::Namespace() : Namespace(detail::make_container(arena::Kind::dict)) {}

std::size_t Namespace::entry(std::string_view name) const {
    const auto found = store_.find(key(name));
    if (!found)
        throw KeyNotFound(fmt::format("this Namespace has no attribute '{}'; set it first, or say "
                                      "what to take instead",
                                      name));
    return *found;
}

bool Namespace::contains(std::string_view name) const {
    const detail::Container::Guard hold(store_);
    return store_.find(key(name)).has_value();
}

bool Namespace::erase(std::string_view name) const {
    const detail::Container::Guard hold(store_);
    const auto found = store_.find(key(name));
    if (found)
        store_.erase(*found);
    return found.has_value();
}

void Namespace::clear() const {
    const detail::Container::Guard hold(store_);
    store_.clear();
}

std::vector<std::string> Namespace::names() const {
    std::vector<std::string> names;
    const detail::Container::Guard hold(store_);
    store_.for_each([&](std::uint64_t key, std::uint64_t) {
        names.emplace_back(text_of(store_.bytes_at(key)));
    });
    return names;
}

std::string Namespace::to_string() const {
    std::string text = "Namespace(";
    const char* separator = "";
    const detail::Container::Guard hold(store_);
    store_.for_each([&](std::uint64_t key, std::uint64_t value) {
        const std::string_view name = text_of(store_.bytes_at(key));
        if (name.starts_with('_'))
            return;
        fmt::format_to(std::back_inserter(text), "{}{}={}", separator, name,
                       detail::describe(store_.bytes_at(value), name));
        separator = ", ";
    });
    return text + ")";
}

} // namespace multifork
