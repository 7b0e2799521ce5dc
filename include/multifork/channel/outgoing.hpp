#pragma once

#include <multifork/arena/crossing.hpp>

#include <cstddef>
#include <span>

namespace multifork {

/// The bytes of a message, and the objects that the handles in it lead to.
struct Outgoing {
    std::span<const std::byte> bytes;
    const arena::Cargo* cargo = nullptr;

    Outgoing(std::span<const std::byte> message, const arena::Cargo* brings = nullptr) noexcept
        : bytes(message), cargo(brings != nullptr && !brings->empty() ? brings : nullptr) {}
};

} // namespace multifork
