#pragma once

#include <multifork/arena/object.hpp>
#include <multifork/platform/export.hpp>

#include <cstddef>
#include <string_view>

namespace multifork {

namespace detail {

/// What a named container is, for open() and create().
struct ContainerIdentity {
    arena::Kind kind;
    const char* type_name;
    const char* what;
};
/// \param bytes  room for the elements
[[nodiscard]] MULTIFORK_API arena::Object named_container(std::string_view name,
                                                          arena::OpenMode mode,
                                                          const ContainerIdentity& identity,
                                                          std::size_t bytes);

} // namespace detail

/// How a named List, Dict or Namespace is made, for programs that are not related.
///
/// All must ask for the same type. `bytes`, the room for all that is in it, counts only for who
/// creates it.
///
/// \throws InvalidArgument, NotFound, AlreadyExists, LayoutMismatch, OutOfSharedMemory
template <class C>
class NamedContainer {
public:
    static constexpr std::size_t default_bytes = 4u << 20;

    static C create(std::string_view name, std::size_t bytes = default_bytes) {
        return named(name, arena::OpenMode::create, bytes);
    }
    static C open(std::string_view name) { return named(name, arena::OpenMode::open, 0); }
    static C open_or_create(std::string_view name, std::size_t bytes = default_bytes) {
        return named(name, arena::OpenMode::open_or_create, bytes);
    }
    static bool remove(std::string_view name) { return arena::remove_named(name); }

private:
    static C named(std::string_view name, arena::OpenMode mode, std::size_t bytes) {
        return C(detail::named_container(name, mode, C::identity(), bytes));
    }
};

} // namespace multifork
