#include "process/board.hpp"

#include <algorithm>

namespace multifork::detail {

void Board::say_error(std::string_view type_name, std::string_view what) noexcept {
    type_name = type_name.substr(0, text.size() / 4);
    what = what.substr(0, text.size() - type_name.size());
    std::copy(what.begin(), what.end(),
              std::copy(type_name.begin(), type_name.end(), text.begin()));
    const auto lengths = static_cast<std::uint32_t>(type_name.size() << 16 | what.size());
    // release: pairs with the acquire in heard_error(). The top bit tells an empty text from none.
    // COMMIT.
    error.store(lengths | 1u << 31, std::memory_order_release);
}

std::optional<RemoteError> Board::heard_error(const std::string& process, int pid) const {
    const std::uint32_t lengths = error.load(std::memory_order_acquire);
    if (lengths == 0)
        return std::nullopt;
    const std::size_t type_size = std::min<std::size_t>(lengths >> 16 & 0x7FFF, text.size());
    const std::size_t what_size = std::min<std::size_t>(lengths & 0xFFFF, text.size() - type_size);
    return RemoteError(std::string(text.data(), type_size),
                       std::string(text.data() + type_size, what_size), process, pid);
}

void Board::say_exit(int status) noexcept {
    exit.store(0x100u | (static_cast<std::uint32_t>(status) & 0xFF));
}

std::optional<int> Board::heard_exit() const noexcept {
    const std::uint32_t said = exit.load();
    if (said == 0)
        return std::nullopt;
    return static_cast<int>(said & 0xFF);
}

} // namespace multifork::detail
