#include <multifork/arena/object.hpp>

#include "arena/object_hold.hpp"

namespace multifork::arena {

Object::Hold::~Hold() {
    if (!named)
        space->drop(held_by != 0 ? held_by : offset);
}

Object Object::make(std::size_t bytes, Kind kind, const std::function<void(std::byte*)>& init) {
    Space& space = tree_space();
    const std::uint64_t offset = space.allocate(bytes, kind);
    try {
        init(space.at(offset));
        // Until give_to_process() the block is the thread's; from then on the process's. One store.
        auto hold = std::make_shared<Hold>();
        space.give_to_process(offset);
        // The tree's space is never deleted.
        hold->space = std::shared_ptr<Space>(std::shared_ptr<void>{}, &space);
        hold->offset = offset;
        hold->bytes = bytes;
        hold->named = false;
        return Object(std::move(hold));
    } catch (...) {
        space.free(offset);
        throw;
    }
}

std::byte* Object::data() const noexcept {
    return hold_->space->at(hold_->offset);
}
Space& Object::space() const noexcept {
    return *hold_->space;
}
std::uint64_t Object::offset() const noexcept {
    return hold_->offset;
}
std::size_t Object::bytes() const noexcept {
    return hold_->bytes;
}

} // namespace multifork::arena
