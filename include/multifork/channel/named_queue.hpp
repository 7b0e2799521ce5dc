#pragma once

#include <multifork/arena/object.hpp>
#include <multifork/channel/codec.hpp>

#include <cstddef>
#include <string_view>

namespace multifork {

/// How a named Queue or JoinableQueue is made, for programs that are not related.
///
/// All must ask for the same T and capacity, and the same room for messages that outgrow a slot
/// (which a trivially copyable T never needs).
///
/// \throws InvalidArgument, NotFound, AlreadyExists, LayoutMismatch, OutOfSharedMemory
template <class Q, class T>
class NamedQueue {
public:
    static constexpr std::size_t default_message_bytes = Shareable<T> ? 0 : 4u << 20;

    static Q create(std::string_view name, std::size_t capacity,
                    std::size_t message_bytes = default_message_bytes) {
        return Q::named(name, arena::OpenMode::create, capacity, message_bytes);
    }
    static Q open(std::string_view name, std::size_t capacity,
                  std::size_t message_bytes = default_message_bytes) {
        return Q::named(name, arena::OpenMode::open, capacity, message_bytes);
    }
    static Q open_or_create(std::string_view name, std::size_t capacity,
                            std::size_t message_bytes = default_message_bytes) {
        return Q::named(name, arena::OpenMode::open_or_create, capacity, message_bytes);
    }
    static bool remove(std::string_view name) { return arena::remove_named(name); }

protected:
    /// What both say to the file of a named queue.
    static arena::Identity identity_of(arena::Kind kind, const char* type_name, std::size_t bytes,
                                       std::size_t capacity, std::size_t message_bytes,
                                       const char* what) {
        arena::Identity identity;
        identity.kind = kind;
        identity.type_name = type_name;
        identity.root_bytes = bytes;
        identity.message_bytes = message_bytes;
        identity.parameters[0] = capacity;
        identity.parameters[1] = message_bytes;
        identity.what = what;
        return identity;
    }
};

} // namespace multifork
