#pragma once

#include <multifork/arena/crossing.hpp>
#include <multifork/arena/object.hpp>
#include <multifork/channel/element.hpp>

#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>

namespace multifork {

/// A Value without a lock: nothing but the T.
///
/// \code
///   mp::RawValue<int> flag{0};
///   flag.value() = 1;             // racy
///   flag.value().fetch_add(1);    // atomic
/// \endcode
///
/// \threads   as safe as plain memory \processes as threads \fork the child inherits the handle
/// \crash     a T that the machine stores at once is never torn; a larger one may be
template <Shareable T>
class RawValue {
public:
    using multifork_describable = void;
    using value_type = T;

    /// \throws OutOfSharedMemory
    explicit RawValue(const T& initial = T{})
        : RawValue(arena::Object::make(sizeof(T), arena::Kind::array, initialiser(initial))) {}

    /// \name Named values: as Value's
    /// @{
    static RawValue create(std::string_view name, const T& initial = T{}) {
        return named(name, arena::OpenMode::create, initial);
    }
    static RawValue open(std::string_view name) { return named(name, arena::OpenMode::open, T{}); }
    static RawValue open_or_create(std::string_view name, const T& initial = T{}) {
        return named(name, arena::OpenMode::open_or_create, initial);
    }
    static bool remove(std::string_view name) { return arena::remove_named(name); }
    /// @}

    [[nodiscard]] Element<T> value() const noexcept { return Element<T>(at_); }

    [[nodiscard]] std::string to_string() const {
        if constexpr (fmt::is_formattable<T>::value)
            return fmt::format("<RawValue {}>", value().get());
        else
            return fmt::format("<RawValue of {} bytes>", sizeof(T));
    }

    /// \internal How the handle gets into another process (channel/crossing.hpp).
    /// @{
    static constexpr arena::Kind crossing_kind = arena::Kind::array;
    [[nodiscard]] arena::Crossing crossing() const { return {object_}; }
    static RawValue arrive(const arena::Crossing& crossing) {
        arena::check_arrived(crossing, sizeof(T));
        return RawValue(crossing.object);
    }
    /// @}

private:
    static_assert(alignof(T) <= 64, "a value is aligned to 64 bytes at most");

    explicit RawValue(arena::Object object)
        : at_(reinterpret_cast<T*>(object.data())), object_(std::move(object)) {}

    static auto initialiser(const T& initial) {
        return [&initial](std::byte* bytes) {
            core::store_element(reinterpret_cast<T*>(bytes), initial);
        };
    }
    static RawValue named(std::string_view name, arena::OpenMode mode, const T& initial) {
        arena::Identity identity;
        identity.kind = arena::Kind::array;
        identity.type_name = typeid(T).name();
        identity.root_bytes = sizeof(T);
        identity.parameters[0] = sizeof(T);
        identity.parameters[1] = 2; // a single one
        identity.what = "RawValue";
        return RawValue(arena::named_object(name, mode, identity, initialiser(initial)));
    }

    T* at_;
    arena::Object object_;
};

} // namespace multifork
