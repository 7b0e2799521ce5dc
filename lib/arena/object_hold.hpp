#pragma once

#include <multifork/arena/object.hpp>

namespace multifork::arena {

struct Object::Hold {
    Hold() = default;
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

    std::shared_ptr<Space> space;
    std::uint64_t offset = 0;
    std::size_t bytes = 0;
    std::uint64_t held_by = 0; // the hold that this process has on another's object; 0: none
    bool named = true; // set to false once the process owns a block: then the destructor drops it
};

} // namespace multifork::arena
