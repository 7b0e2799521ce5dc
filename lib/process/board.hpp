#pragma once

#include <multifork/arena/object.hpp>
#include <multifork/error.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace multifork::detail {

/// What a child tells its parent, in a block of the arena that the parent owns.
///
///   offset 0   error    0, or the lengths of type name and text: type << 16 | text. COMMITs both
///          4   exit     0, or 0x100 | exit status: stored right before _exit, for a parent whose
///          child
///                       somebody else has reaped
///          8   text     type name, then what() said
///
/// Only the child writes. A child that dies while it writes the text has said nothing.
struct Board {
    std::atomic<std::uint32_t> error;
    std::atomic<std::uint32_t> exit;
    std::array<char, 952> text;

    void say_error(std::string_view type_name, std::string_view what) noexcept;
    [[nodiscard]] std::optional<RemoteError> heard_error(const std::string& process, int pid) const;
    void say_exit(int status) noexcept;
    [[nodiscard]] std::optional<int> heard_exit() const noexcept;
};
static_assert(sizeof(Board) == 960); // with the block's header: a size class of 1 KiB

[[nodiscard]] inline arena::Object make_board() {
    return arena::Object::make(sizeof(Board), arena::Kind::board, [](std::byte*) {});
}
[[nodiscard]] inline Board& board_in(const arena::Object& object) noexcept {
    return *reinterpret_cast<Board*>(object.data());
}

} // namespace multifork::detail
