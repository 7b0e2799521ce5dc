#pragma once

#include <multifork/arena/space.hpp>
#include <multifork/platform/export.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <typeinfo>
#include <vector>

namespace multifork::arena {

/// What every handle (Lock, Value, Queue, ...) holds: a reference to one object in shared memory.
///
/// Copies share the object. When a process has dropped its last copy, the object is freed as soon
/// as no other process can reach it: none that was forked while it existed is still alive. A forked
/// child's copies cost nothing and free nothing.
///
/// A move is a copy: handles keep pointers into the object beside this, so one that was moved from
/// would go on to use what it does not keep any more.
class MULTIFORK_API Object {
public:
    Object() noexcept = default;
    Object(const Object&) noexcept = default;
    Object& operator=(const Object&) noexcept = default;

    /// Makes an unnamed object in the process tree's arena; `init` gets its zeroed bytes.
    /// \throws OutOfSharedMemory, and what init throws
    static Object make(std::size_t bytes, Kind kind, const std::function<void(std::byte*)>& init);

    /// Whether it refers to an object at all.
    [[nodiscard]] explicit operator bool() const noexcept { return hold_ != nullptr; }
    [[nodiscard]] std::byte* data() const noexcept;
    [[nodiscard]] Space& space() const noexcept;
    [[nodiscard]] std::uint64_t offset() const noexcept;
    /// How long it is, as it was asked for when it was made; not a word that others could
    /// overwrite.
    [[nodiscard]] std::size_t bytes() const noexcept;

    struct Hold;
    explicit Object(std::shared_ptr<const Hold> hold) noexcept : hold_(std::move(hold)) {}

private:
    std::shared_ptr<const Hold> hold_;
};

/// What a named object must be, so that two programs mean the same by a name.
struct Identity {
    Kind kind = Kind::bytes;
    std::string_view type_name;           ///< typeid(T).name()
    std::size_t root_bytes = 0;           ///< of the object
    std::size_t message_bytes = 0;        ///< room for messages besides
    std::uint64_t parameters[2] = {0, 0}; ///< e.g. capacity and slot size
    std::string_view what = "";           ///< for people: "Queue", "Lock"
    bool any_size = false; ///< an open takes the object as long as it is: root_bytes is for its
                           ///< maker
    std::size_t least_bytes = 0; ///< but not if it is shorter than that
};

enum class OpenMode : std::uint8_t { open, create, open_or_create };

/// Opens or makes a named object; it lives in the file multifork.NAME in /dev/shm (or in the
/// directory that MULTIFORK_SHM_DIR names), with mode 0600, until its last user has gone.
///
/// Nobody ever sees half an object: it is made without a name and linked when it is whole.
/// Leftovers of killed programs are recognised, because nobody holds their lock, and are taken
/// away. \throws InvalidArgument (the name), NotFound, AlreadyExists, LayoutMismatch,
/// OutOfSharedMemory, Error
[[nodiscard]] MULTIFORK_API Object named_object(std::string_view name, OpenMode mode,
                                                const Identity& identity,
                                                const std::function<void(std::byte*)>& init);

/// Takes the name away; who has the object open goes on with it. \return false when there was none
MULTIFORK_API bool remove_named(std::string_view name);

/// Takes away every named object that nobody has open. Opening and creating do this for their own
/// name. \return the names
MULTIFORK_API std::vector<std::string> remove_stale();

} // namespace multifork::arena
