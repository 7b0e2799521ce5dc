#include <multifork/arena/crossing.hpp>
#include <multifork/error.hpp>

#include "arena/named.hpp"
#include "arena/object_hold.hpp"
#include "arena/space_impl.hpp"

#include <fmt/format.h>

#include <utility>

namespace multifork::arena {
namespace {

thread_local Cargo* the_cargo = nullptr;

[[noreturn]] void throw_gone() {
    throw NotFound("a message brought a handle to an object that is not there any more; its sender "
                   "must keep it until the message was read, or send it in a queue or as an "
                   "argument, which keep it themselves");
}

Object named_at(const ObjectAddress& address, Kind expected) {
    auto space = open_named(address.name, expected, address.bytes);
    auto hold = std::make_shared<Object::Hold>();
    hold->offset = space->root();
    hold->bytes = space->root_bytes();
    hold->space = std::move(space);
    return Object(std::move(hold));
}

} // namespace

Cargo::Cargo() noexcept : outer_(std::exchange(the_cargo, this)) {}
Cargo::~Cargo() {
    the_cargo = outer_;
}

ObjectAddress address_of(const Object& object) {
    if (the_cargo == nullptr)
        throw NotShareable("a handle cannot cross in this place; give it to a Process as an "
                           "argument, put it into a Queue, or make the object with a name and "
                           "send the name");
    ObjectAddress address;
    address.bytes = object.bytes();
    if (is_named(object)) {
        address.name = static_cast<const NamedSpace&>(object.space()).name();
        address.kind = object.space().impl().heap.segment().root_kind;
    } else {
        const Heap& heap = object.space().impl().heap;
        const BlockHeader& block = heap.block(object.offset() - sizeof(BlockHeader));
        address.offset = object.offset();
        address.serial = block.serial;
        address.kind = static_cast<std::uint32_t>(block.kind.load());
    }
    the_cargo->objects_.push_back(object);
    return address;
}

void Cargo::load_onto(Space& space, std::uint64_t offset) const {
    for (const Object& object : objects_) {
        if (is_named(object))
            continue;
        if (&space != &object.space())
            throw NotShareable("a handle on an unnamed object was put into a named one, which "
                               "programs of other process trees may read; make the object with a "
                               "name, or the queue without one");
        const std::uint64_t target = object.offset() - sizeof(BlockHeader);
        Heap& heap = space.impl().heap;
        if (!heap.hold_for_message(offset - sizeof(BlockHeader),
                                   {target, heap.block(target).serial}))
            throw_gone();
    }
}

Object object_at(const ObjectAddress& address, Kind expected) {
    if (address.kind != static_cast<std::uint32_t>(expected))
        throw CorruptSharedMemory("a message brought a handle to an object of another kind than "
                                  "its reader expects; both sides must send and receive the same "
                                  "type");
    if (!address.name.empty())
        return named_at(address, expected);
    Space& space = tree_space();
    Heap& heap = space.impl().heap;
    auto reference = std::make_shared<Object::Hold>();
    reference->space = std::shared_ptr<Space>(std::shared_ptr<void>{}, &space);
    reference->offset = address.offset;
    reference->bytes = address.bytes;
    const std::uint64_t hold = heap.hold_for_process(
        space.impl().self(), {address.offset - sizeof(BlockHeader), address.serial});
    if (hold == 0)
        throw_gone();
    reference->held_by = hold + sizeof(BlockHeader);
    reference->named = false;
    // Ours from here on; so the block stays, and can be looked at.
    static_cast<void>(space.checked(address.offset, address.bytes));
    if (heap.block(address.offset - sizeof(BlockHeader)).kind.load() != expected)
        throw CorruptSharedMemory("a message brought a handle to a place where no such object is; "
                                  "look for a process that writes where it should not");
    return Object(std::move(reference));
}

bool is_named(const Object& object) {
    return &object.space() != &tree_space();
}

void check_arrived(const Crossing& crossing, std::size_t bytes) {
    if (crossing.object.bytes() < bytes)
        throw CorruptSharedMemory(fmt::format(
            "a handle came for an object of {} bytes, and there are {}; both sides must be built "
            "with the same definition of its type",
            bytes, crossing.object.bytes()));
}

} // namespace multifork::arena
