#pragma once

#include <multifork/arena/object.hpp>
#include <multifork/platform/export.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

// How a handle gets into another process that did not inherit it: as the argument of a process that
// was spawned, or inside a message.
//
// The bytes of the message say where the object is. What keeps it, until the receiver has a hold of
// its own, is a hold that the message's block has on it (lib/arena/holds.cpp). So encoding notes
// the objects in a Cargo, and who puts the message into a block loads the cargo onto that block.

namespace multifork::arena {

/// A handle in pieces: the object, and what else the handle's class must know.
struct Crossing {
    Object object;
    std::array<std::uint64_t, 2> words = {0, 0};
};

/// Where an object is, in bytes that another process of the tree understands.
struct ObjectAddress {
    std::uint64_t offset = 0;
    std::uint64_t serial = 0; ///< which use of the block
    std::uint64_t bytes = 0;
    std::uint32_t kind = 0;
    std::string name; ///< of a named object; offset and serial mean nothing then
};

/// The objects to which the handles in one message lead. While it lives, encoding in this thread
/// notes them here.
class MULTIFORK_API Cargo {
public:
    Cargo() noexcept;
    ~Cargo();
    Cargo(const Cargo&) = delete;
    Cargo& operator=(const Cargo&) = delete;

    /// Has the message in this block, which the calling thread owns, keep all of them.
    /// \throws NotShareable when the block lies in a named segment, whose users may be of another
    /// tree; OutOfSharedMemory
    void load_onto(Space& space, std::uint64_t offset) const;
    [[nodiscard]] bool empty() const noexcept { return objects_.empty(); }
    /// Named objects go with their last user: keep these until the message was read.
    [[nodiscard]] std::vector<Object> take() noexcept { return std::move(objects_); }

private:
    friend MULTIFORK_API ObjectAddress address_of(const Object& object);
    std::vector<Object> objects_;
    Cargo* outer_;
};

/// The address of an object, which is noted in the thread's Cargo.
/// \throws NotShareable where nothing takes handles along
[[nodiscard]] MULTIFORK_API ObjectAddress address_of(const Object& object);

/// The object at an address that was read from a message, with a hold of this process.
/// \throws NotFound            when it is gone
///         CorruptSharedMemory when no object of that kind is there
[[nodiscard]] MULTIFORK_API Object object_at(const ObjectAddress& address, Kind expected);

/// Whether it has a name, and a segment of its own.
[[nodiscard]] MULTIFORK_API bool is_named(const Object& object);

/// \throws CorruptSharedMemory unless the object is as large as its handle says
MULTIFORK_API void check_arrived(const Crossing& crossing, std::size_t bytes);

} // namespace multifork::arena
